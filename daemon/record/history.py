"""Ops as the ledger has them: the newest are read back at boot, an older one on request."""

from __future__ import annotations

import asyncio

from daemon.control.messages import OpView
from daemon.record.optable import KEPT_OPS, OpTable, fold_op
from daemon.record.reading import resolve
from ledger.errors import ControlError
from ledger.store import Ledger
from ledger.vocabulary import Entry, OpOutcome

NEWEST = (
    "SELECT op_id FROM entries WHERE op_id IS NOT NULL GROUP BY op_id ORDER BY max(seq) DESC LIMIT ?"  # from an index
)
OPEN = (
    "SELECT op_id FROM entries WHERE kind = 'decision' AND op_id IS NOT NULL EXCEPT SELECT op_id FROM entries "
    f"WHERE kind = 'transition' AND phase IN ({', '.join(repr(state.value) for state in sorted(OpOutcome))})"
)

OF_SIGNAL = (
    "SELECT op_id FROM entries WHERE kind = 'decision' AND op_id IS NOT NULL AND instr(body, 'op.started') > 0 "
    "AND instr(body, ?) > 0 ORDER BY seq DESC LIMIT 1"
)


async def open_ops(ledger: Ledger) -> list[str]:
    """Ids of the ops that were begun and have no end in the record, oldest first."""
    return sorted(str(op_id) for (op_id,) in await ledger.query(OPEN))


class History:
    """Fills ``table`` without holding up the event loop, whatever the ledger's length, and reads beyond it."""

    def __init__(self, *, ledger: Ledger, table: OpTable) -> None:
        self._ledger = ledger
        self._table = table

    async def read_back(self) -> None:
        """The newest first, then what is older and not over. Raises ``ChainBroken``."""
        newest = [str(op_id) for (op_id,) in await self._ledger.query(NEWEST, (KEPT_OPS,))]
        for op_id in dict.fromkeys((*newest, *reversed(await open_ops(self._ledger)))):
            self._table.adopt(await self._ledger.entries(op_id=op_id), newest=False)

    async def follow(self, entry: Entry) -> None:
        """Feed what has just been written. An op that the table does not hold may be an old one: it is read whole."""
        if entry.op_id is not None and not self._table.knows(entry.op_id):
            self._table.adopt(await self._ledger.entries(op_id=entry.op_id), newest=True)
        self._table.feed((entry,))

    async def resolve(self, reference: str) -> OpView:
        """The op that ``reference`` names, however old. Raises ``ControlError`` for none or several."""
        wanted = reference.strip().lower()
        if wanted.startswith("sig-"):
            wanted = reference = await self._of_signal(wanted)
        if self._table.knows(wanted):
            return self._table.resolve(wanted)
        return await self._view(await resolve(self._ledger, reference))

    async def _of_signal(self, signal: str) -> str:
        """The newest op that works, or worked, on a signal. Raises ``ControlError``."""
        rows = await self._ledger.query(OF_SIGNAL, (f'"{signal}"',))
        if not rows:
            raise ControlError(f"No op has taken up {signal} yet.", remedy="`ouro status` shows the queue.")
        return str(rows[0][0])

    async def newest(self, limit: int) -> list[OpView]:
        """The newest ops, ended or not, newest first."""
        known = self._table.newest(ended=True)
        if len(known) >= limit:
            return known[:limit]
        rows = await self._ledger.query(NEWEST, (limit,))
        return [await self._view(str(op_id)) for (op_id,) in rows]

    async def _view(self, op_id: str) -> OpView:
        if self._table.knows(op_id):
            return self._table.resolve(op_id)
        return await asyncio.to_thread(fold_op, await self._ledger.entries(op_id=op_id))
