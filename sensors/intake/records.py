"""The values of the intake queue: items, leases, receipts, and what a person is shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from ledger.vocabulary import Frozen, Operation, Signal, TestsPass


class ItemState(StrEnum):
    """State of a signal. DONE and DEAD are ends; DEAD stays listed."""

    QUEUED = "queued"
    CLAIMED = "claimed"  # a worker has it and has not begun: after a crash it is queued again
    IN_FLIGHT = "in_flight"  # it may have acted
    PARKED = "parked"  # waits for a person: with an op for an approval, without one because admission was refused
    QUARANTINED = "quarantined"  # it may have acted and nobody knows: shown, never retried unasked
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
    generation: int = 0  # how often it was claimed
    closed_at: str | None = None
    success: bool = False  # DONE by an op that reached its goal
    reason: str = ""
    branch: str | None = None
    history: tuple[str, ...] = ()  # one line for each op that had it
    seen_again_at: str | None = None  # commit at which the same condition was reported while an op had it
    asked: bool = False  # the owner wants it now: the governor's caps do not hold it back

    @property
    def id(self) -> str:
        return self.signal.id

    @property
    def merges_with(self) -> tuple[str, str, str | None, str]:
        """Only items that agree in this may become one op: boot, commit, snapshot and kind of closure."""
        return (self.signal.boot, self.signal.base, self.signal.snapshot, self.signal.closure.kind)

    @property
    def short(self) -> str:
        """What the item is about, for one line on a screen."""
        closure = self.signal.closure
        return closure.ids[0] if isinstance(closure, TestsPass) and closure.ids else self.signal.goal[:80]


class Lease(Frozen):
    """One active op: the generation identifies its holder, the expiry ends the hold."""

    operation: Operation
    state: ItemState
    generation: int
    expires_at: str
    claims: tuple[str, ...] = ()

    @property
    def op_id(self) -> str:
        return self.operation.id


class Receipt(Frozen):
    """What became of a submitted signal; it is durable by the time this exists."""

    signal_id: str
    status: Literal["queued", "duplicate", "suppressed", "parked"]
    reason: str = ""
    of: str | None = None  # the signal that it repeats


class RecoveryReport(Frozen):
    """What a boot found. ``undecided`` ops may have acted: the daemon answers for each with requeue or quarantine."""

    requeued: tuple[str, ...] = ()  # signals that provably never acted
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
    waits: str  # why it does not run now; empty when nothing but its turn is missing
    history: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The whole queue at one moment. ``ready`` are the best waiting signals whose files are free, best first."""

    paused: bool
    counts: dict[str, int]
    ready: tuple[str, ...]
    lines: tuple[QueueLine, ...]
    claims: dict[str, str]  # path -> op id
