"""The queue of signals: its steps, and the decisions on what runs next."""

from __future__ import annotations

from ledger.events.event import EventFamily, Json, LedgerEvent
from ledger.vocabulary import EntryKind


class QueueStep(EventFamily, kind=EntryKind.SIGNAL, name="queue."):
    """One step of a signal, with the rows that it leaves in the tables of the queue.

    ``new`` items are stored with their signals, ``items`` only change their state; ``lease`` is written, the lease of
    op ``ended`` is dropped, with its ``outcome`` and ``cause``. ``again`` with ``base``: a held item was reported at a
    newer commit. ``before``: rows of what ended before that stamp are deleted. ``signal``, ``key``, ``of`` and
    ``reason`` describe a signal that was not queued.
    """

    new: tuple[Json, ...] = ()
    items: tuple[Json, ...] = ()
    lease: Json | None = None
    ended: str | None = None
    standing: Json | None = None
    outcome: str | None = None
    cause: str | None = None
    again: str | None = None
    base: str | None = None
    before: str | None = None
    signal: str | None = None
    key: str | None = None
    of: str | None = None
    reason: str | None = None


class LeaseStep(QueueStep, kind=EntryKind.LEASE, name="queue."):
    """A step of a lease alone."""


class PriorityDecided(LedgerEvent, kind=EntryKind.DECISION, name="decision.priority"):
    """``evicted``: signals that lost their ready slot; ``alignment``: what the declared goals contributed."""

    inputs: Json
    result: int
    evicted: tuple[str, ...] = ()
    alignment: Json | None = None


class LaneGoverned(LedgerEvent, kind=EntryKind.DECISION, name="decision.governor"):
    """``result``: the rule that holds a lane back; empty when it is free."""

    lane: str
    inputs: Json
    result: str
    reason: str


class PostureInferred(LedgerEvent, kind=EntryKind.DECISION, name="decision.posture"):
    inputs: Json
    result: str
