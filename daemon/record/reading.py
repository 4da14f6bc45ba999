"""Questions about the record and about the daemon's commits, answered without a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.control.messages import LogView
from ledger.clock import SystemClock
from ledger.errors import LedgerError
from ledger.ids import resolve_op
from ledger.store import Ledger

if TYPE_CHECKING:
    from daemon.settings.config import Config

NAMED = "SELECT DISTINCT op_id FROM entries WHERE op_id IS NOT NULL AND instr(op_id, ?) > 0"


async def open_ledger(config: Config) -> Ledger:
    """The ledger, read-only, also beside a live daemon. Raises ``LedgerError`` when there is none yet."""
    places = config.places
    if not places.ledger.exists():
        raise LedgerError("There is no record of this repository yet.", remedy="`ouro run` or `ouro fix` begins one.")
    return await Ledger.open(places.ledger, repo_id=places.repo_id, clock=SystemClock(), read_only=True)


async def resolve(ledger: Ledger, reference: str) -> str:
    """The op that a short id names. Raises ``ControlError``."""
    part = reference.strip().lower().removeprefix("op-")
    rows = await ledger.query(NAMED, (part,)) if part.isascii() else ()  # what was typed may be no text
    return resolve_op(reference, (str(row[0]) for row in rows))


async def log_view(ledger: Ledger, *, op: str | None, limit: int, after: int | None) -> LogView:
    """Entries in order: the newest ``limit``, or the first ``limit`` after ``after``."""
    op_id = None if op is None else await resolve(ledger, op)
    newest = after is None
    entries = await ledger.entries(op_id=op_id, after=after or 0, limit=limit, newest_first=newest)
    ordered = tuple(reversed(entries)) if newest else tuple(entries)
    return LogView(entries=ordered, head=ledger.head.seq)
