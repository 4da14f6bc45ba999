"""The end of the record is cut off, together with the row that says where it ends."""

from __future__ import annotations

from pathlib import Path

from daemon.record import verifying
from daemon.record.verifying import verify_record
from ledger.integrity import audit
from tests.daemon.records import config_of, lived
from tests.ledger.drafts import tamper
from tests.repos import git

BACKENDS = ("landlock",)
USERS = ("anybody",)
CUTS = {"before the last commit": 12, "behind it": 16, "the last entry": 17}


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """Whoever can write the state folder cuts; ``wall``: heads from outside are asked."""
    if not wall:
        verifying._of_commits = lambda found, notes: []
        verifying._of_heads = lambda kept, ring, origin, findings: []
        verifying._places_agree = lambda kept, chain, ring: []
        audit.verified_heads = lambda ends, told, *, judge, origin: iter(())
    through = []
    for name, left in CUTS.items():
        config = config_of(base / name.replace(" ", "-"))
        made = await lived(config)
        places = config.places
        tamper(
            places.ledger,
            ("DELETE FROM inbox", ()),
            ("DELETE FROM entries WHERE seq > ?", (left,)),
            ("UPDATE chain SET seq = ?1, hash = (SELECT hash FROM entries WHERE seq = ?1)", (left,)),
        )
        places.heads.unlink()
        if left < made.commits[-1]:  # the commit alone has to do
            git(places.repo, "update-ref", "-d", places.heads_ref)
        told = await verify_record(config)
        rows = [found for found in told.findings if found.row == left + 1 and "missing at the end" in found.said]
        if not rows:
            through.append(name)
    return through
