"""Value types of the intake queue: items, leases, receipts, and views for a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from ledger.vocabulary import Frozen, Operation, Signal, TestsPass


class ItemState(StrEnum):
    """State of a signal. DONE and DEAD are final; dead signals stay listed."""

    QUEUED = "queued"
    CLAIMED = "claimed"  # a worker has it but no work was done: queued again after a crash
    IN_FLIGHT = "in_flight"  # its op may have changed something
    PARKED = "parked"  # waits for a person: for an approval (with an op), or refused at admission (without)
    QUARANTINED = "quarantined"  # its op may have changed something, unknown what: shown, retried only on request
    AWAITING_MERGE = "awaiting_merge"  # its repair lies on a review branch
    DONE = "done"
    DEAD = "dead"  # given up after too many attempts


HELD = frozenset({ItemState.CLAIMED, ItemState.IN_FLIGHT, ItemState.PARKED})
ACTIVE = frozenset({ItemState.QUEUED, ItemState.QUARANTINED}) | HELD


class Item(Frozen):
    """One signal in the queue. Times are UTC stamps."""

    signal: Signal
    state: ItemState
    queued_at: str
    not_before: str  # end of the coalescing wait
    op_id: str | None = None
    attempts: int = 0  # ops that ended without success
    generation: int = 0  # number of claims; a lease of an earlier one is void
    closed_at: str | None = None
    success: bool = False  # DONE by an op that reached its goal
    reason: str = ""
    branch: str | None = None
    history: tuple[str, ...] = ()  # one line for each op that worked on it
    seen_again_at: str | None = None  # commit at which it was reported again during an op
    asked: bool = False  # the owner requested it now: exempt from the governor's limits

    @property
    def id(self) -> str:
        return self.signal.id

    @property
    def merges_with(self) -> tuple[str, str, str | None, str]:
        """Boot, commit, snapshot and kind of closure: only items with equal values can be merged into one op."""
        return (self.signal.boot, self.signal.base, self.signal.snapshot, self.signal.closure.kind)

    @property
    def short(self) -> str:
        """What the item is about, for one line on a screen."""
        closure = self.signal.closure
        return closure.ids[0] if isinstance(closure, TestsPass) and closure.ids else self.signal.goal[:80]


class Lease(Frozen):
    """A worker's hold on an op. ``generation`` identifies the holder; it ends at ``expires_at``."""

    operation: Operation
    state: ItemState
    generation: int
    expires_at: str
    claims: tuple[str, ...] = ()

    @property
    def op_id(self) -> str:
        return self.operation.id


class Receipt(Frozen):
    """The result of submitting a signal, which is already durable."""

    signal_id: str
    status: Literal["queued", "duplicate", "suppressed", "parked"]
    reason: str = ""
    of: str | None = None  # the earlier signal that it duplicates


class RecoveryReport(Frozen):
    """What a boot found. ``undecided`` ops may have changed something: the daemon requeues or quarantines each."""

    requeued: tuple[str, ...] = ()  # signals whose op provably changed nothing
    undecided: tuple[str, ...] = ()  # op ids
    parked: tuple[str, ...] = ()  # op ids that wait for a person
    quarantined: tuple[str, ...] = ()  # signal ids


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One signal as a person sees it."""

    signal_id: str
    state: ItemState
    goal: str
    source: str
    urgency: str
    priority: int
    attempts: int
    queued_at: str
    op_id: str | None
    reason: str
    branch: str | None
    waits_for: str | None  # op that holds one of its files
    waits: str  # why it does not run now; empty if it only waits for its turn
    history: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The whole queue at one moment. ``ready``: waiting signals whose files are free, by priority."""

    paused: bool
    counts: dict[str, int]
    ready: tuple[str, ...]
    lines: tuple[QueueLine, ...]
    claims: dict[str, str]  # path -> op id
