"""Reads the intake queue from the ledger's database, for commands that work while no daemon runs."""

from __future__ import annotations

from ledger.clock import Clock
from ledger.store import Ledger
from sensors.intake.governor import FREE
from sensors.intake.order import no_record
from sensors.intake.queue import DurableQueue
from sensors.intake.queue_state import QueueState
from sensors.intake.records import QueueSnapshot
from sensors.intake.settings import RouterSettings


async def snapshot_of(ledger: Ledger, *, clock: Clock, lines: int) -> QueueSnapshot:
    """The queue with every open signal and the dead ones. No lane is held back, as no governor runs.

    Priorities use the confidence stated by the sensors: only the daemon adjusts it by their earlier claims.
    """
    queue = QueueState(RouterSettings(), lambda item: 0, no_record)
    if await ledger.query("SELECT 1 FROM sqlite_master WHERE name = 'intake_items'"):
        store = DurableQueue(ledger)
        for lease in await store.leases():
            queue.hold(lease, None)
        for item in await store.open_items():
            queue.put(item)
    return queue.snapshot(now=clock.now(), paused=False, lines=lines, ruling=lambda lane: FREE)
