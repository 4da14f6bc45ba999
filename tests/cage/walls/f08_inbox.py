"""What an approval carries out is exchanged in the inbox, for something that its owner was never shown."""

from __future__ import annotations

from pathlib import Path

from daemon.record.verifying import verify_record
from governance.approval.inbox import Inbox
from governance.approval.requests import COLUMNS, Asked
from ledger.clock import ManualClock
from ledger.errors import ControlError
from tests.daemon.records import WHEN, ask, config_of, opened
from tests.ledger.drafts import tamper

BACKENDS = ("landlock",)
USERS = ("anybody",)


class Believing(Inbox):
    """Takes the row for what was asked, as long as there is one."""

    async def _pending_of(self, op_id: str) -> Asked | None:
        asked = await super()._pending_of(op_id)
        rows = await self._ledger.query(f"SELECT {', '.join(COLUMNS)} FROM inbox WHERE op_id = ?", (op_id,))
        return Asked(seq=asked.seq, **dict(zip(COLUMNS, map(str, rows[0]), strict=True))) if asked and rows else None

    async def _changed(self, op_id: str) -> str:
        return ""


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """The row of one op is given the dossier of another, and the owner says yes."""
    config = config_of(base)
    ledger = await opened(config)
    shown, other = await ask(ledger, config, 1), await ask(ledger, config, 2)
    await ledger.close()
    swap = "UPDATE inbox SET dossier = (SELECT dossier FROM inbox WHERE op_id = ?) WHERE op_id = ?"
    tamper(config.places.ledger, (swap, (other, shown)))
    through = []
    told = await verify_record(config)
    if not any(shown in found.said and found.row is not None for found in told.findings):
        through.append("not told")
    ledger = await opened(config)
    try:
        kind = Inbox if wall else Believing
        inbox = kind(ledger=ledger, clock=ManualClock(WHEN), settings=config.settings.approval)
        await inbox.prepare()
        carried = next(request for request in await inbox.pending() if request.op.id == shown).dossier
        try:
            await inbox.check_unchanged(shown)
        except ControlError:
            pass
        else:
            through.append("not refused")
        if await inbox.decide(shown, "approved", by="owner") == "approved":
            through.append("approved")
        if carried.generation is None or carried.generation.candidate.edits[0].after != b"x = 2\n":
            through.append("carried out")
    finally:
        await ledger.close()
    return through
