"""Contents that entries name are deleted, changed or exchanged."""

from __future__ import annotations

from pathlib import Path

from daemon.record.verifying import verify_record
from ledger.integrity import audit
from tests.daemon.records import config_of, lived
from tests.ledger.drafts import tamper

BACKENDS = ("landlock",)
USERS = ("anybody",)
OF_3 = "(SELECT json_extract(CAST(body AS TEXT), '$.payload.answer') FROM entries WHERE seq = 3)"
WAYS = {
    "all deleted": "DELETE FROM blobs",
    "one deleted": f"DELETE FROM blobs WHERE sha256 = {OF_3}",
    "one changed": f"UPDATE blobs SET data = x'00' WHERE sha256 = {OF_3}",
    "one exchanged": f"UPDATE blobs SET (size, data) = (SELECT size, data FROM blobs WHERE sha256 <> {OF_3} LIMIT 1) "
    f"WHERE sha256 = {OF_3}",
}


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """``wall``: every blob that an entry names has to be there, and to be what its name says."""
    if not wall:
        audit.check_blobs = lambda connection, told, *, wanted, stop: None
    through = []
    for name, sql in WAYS.items():
        config = config_of(base / name.replace(" ", "-"))
        await lived(config)
        tamper(config.places.ledger, (sql, ()))
        told = await verify_record(config)
        if not any(found.row in (2, 3) and "blob" in found.said for found in told.findings):
            through.append(name)
    return through
