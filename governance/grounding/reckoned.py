"""Computes the calibration of a ledger, in slices so that other work is not blocked."""

from __future__ import annotations

import asyncio

from governance.grounding.calibration import READ, Calibration, Reckoning
from governance.grounding.trust import SLICE, in_table
from ledger.store import Ledger


async def calibration_of(ledger: Ledger) -> Calibration:
    """Calibration over the whole ledger up to now. Some seconds for 100,000 claims, without blocking the event loop."""
    reckoning = Reckoning()
    upto, table = await in_table(ledger)
    for events in READ:
        after = 0
        while entries := await ledger.entries(events=events, after=after, limit=SLICE):
            after = entries[-1].seq
            await asyncio.to_thread(reckoning.take, [entry for entry in entries if entry.seq <= upto])
            if after > upto:
                break
    return await asyncio.to_thread(reckoning.result, agrees=dict(reckoning.trust.tallies) == table)
