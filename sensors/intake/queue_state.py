"""The queue in memory: every signal that has not ended, every active op, every claimed file. Synchronous."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ledger.clock import stamp
from sensors.intake.claims import FileClaims
from sensors.intake.governor import Lane, Ruling
from sensors.intake.history import IntakeHistory
from sensors.intake.order import WaitingOrder
from sensors.intake.priority import priority
from sensors.intake.records import Item, ItemState, Lease, QueueLine, QueueSnapshot
from sensors.intake.settings import RouterSettings
from sensors.ports import TrackRecord


@dataclass(slots=True)
class Held:
    """A lease with the moment (monotonic) at which it runs out; None while it cannot."""

    lease: Lease
    deadline: float | None
    ending: asyncio.Event | None = None  # its end is being written: nothing else may be; set when that is over


class QueueState:
    """Indexes over items and leases. The router changes it after (or, for reservations, before) the ledger."""

    def __init__(self, settings: RouterSettings, alignment: Callable[[Item], int], record: TrackRecord) -> None:
        self.claims = FileClaims()
        self.order = WaitingOrder(ageing_s=settings.ageing_s, claims=self.claims, alignment=alignment, record=record)
        self.held: dict[str, Held] = {}
        self.history = IntakeHistory()
        self._slots: tuple[str, ...] = ()
        self._settings = settings
        self._items: dict[str, Item] = {}
        self._not_queued: dict[str, Item] = {}  # few, even when the queue is long
        self._latest: dict[str, str] = {}  # key -> id of the latest item that has not ended
        self._closed: OrderedDict[str, Item] = OrderedDict()  # by key, the last that were DONE

    def put(self, item: Item) -> None:
        """Take an item in its new state."""
        if item.id in self.order:
            self.order.remove(item.id)
        key = item.signal.key
        if item.state is ItemState.DONE:
            self._items.pop(item.id, None)
            self._not_queued.pop(item.id, None)
            if self._latest.get(key) == item.id:
                del self._latest[key]
            self._closed[key] = item
            self._closed.move_to_end(key)
            if len(self._closed) > self._settings.recent_closed:
                self._closed.popitem(last=False)
            return
        self._items[item.id] = item
        self._latest[key] = item.id
        if item.state is ItemState.QUEUED:
            self._not_queued.pop(item.id, None)
            self.order.add(item)
        else:
            self._not_queued[item.id] = item

    def get(self, signal_id: str) -> Item | None:
        """An item that has not ended."""
        return self._items.get(signal_id)

    def last(self, key: str) -> Item | None:
        """The latest item with a key that memory knows of: one that has not ended, else one that ended lately."""
        found = self._latest.get(key)
        return self._items[found] if found is not None else self._closed.get(key)

    def ids(self) -> tuple[str, ...]:
        """Of all items that have not ended, and of the dead."""
        return tuple(self._items)

    def holder(self, key: str) -> Held | None:
        """The active op that has the latest item with a key."""
        item = self.last(key)
        return self.held.get(item.op_id) if item is not None and item.op_id is not None else None

    def __iter__(self) -> Iterator[Item]:
        """The items that are not waiting in the queue."""
        return iter(tuple(self._not_queued.values()))

    def of_op(self, op_id: str) -> tuple[Item, ...]:
        """The items that an active op took, or that were quarantined with it."""
        held = self.held.get(op_id)
        if held is not None:
            ids = (signal.id for signal in held.lease.operation.signals)
            return tuple(self._items[i] for i in ids if i in self._items)
        return tuple(i for i in self if i.op_id == op_id and i.state is ItemState.QUARANTINED)

    def hold(self, lease: Lease, deadline: float | None) -> None:
        """An op became active, or its lease changed."""
        self.held[lease.op_id] = Held(lease, deadline)
        self.claims.take(lease.op_id, lease.claims)

    def drop(self, op_id: str) -> None:
        """An op is no longer active: its files are free, and signals that waited for them take part again."""
        self.held.pop(op_id, None)
        self.order.freed(self.claims.release(op_id))

    def expired(self, monotonic: float) -> tuple[Held, ...]:
        """Ops whose worker has not shown a sign of life for too long."""
        return tuple(
            h for h in self.held.values() if h.deadline is not None and h.deadline < monotonic and h.ending is None
        )

    def next_deadline(self) -> float | None:
        """The earliest moment at which a lease runs out."""
        return min(
            (h.deadline for h in self.held.values() if h.deadline is not None and h.ending is None), default=None
        )

    def busy(self) -> bool:
        """Is anything queued, claimed or in flight?"""
        return len(self.order) > 0 or any(item.state in (ItemState.CLAIMED, ItemState.IN_FLIGHT) for item in self)

    def active(self) -> int:
        """Ops under way, without those that wait for a person."""
        return sum(held.lease.state is not ItemState.PARKED for held in self.held.values())

    def evicted(self, now: datetime, free: Callable[[Lane], bool]) -> tuple[str, ...]:
        """Assign the ready slots again; returns the signals that lost their slot and still wait."""
        before, self._slots = self._slots, self.order.ready(now, self._settings.ready_slots, free)
        return tuple(signal_id for signal_id in before if signal_id in self.order and signal_id not in self._slots)

    def snapshot(self, *, now: datetime, paused: bool, lines: int, ruling: Callable[[Lane], Ruling]) -> QueueSnapshot:
        """Everything a person may ask about the queue; ``lines`` signals at most are described, active ones first."""
        counts = Counter({ItemState.QUEUED.value: len(self.order)})
        counts.update(item.state.value for item in self)
        ready = self.order.ready(now, self._settings.ready_slots, lambda lane: ruling(lane).free)
        chosen = dict.fromkeys([*tuple(self._not_queued)[:lines], *ready], True)
        for item in self.order:
            if len(chosen) >= lines:
                break
            chosen[item.id] = True
        return QueueSnapshot(
            paused=paused,
            counts={state.value: counts.get(state.value, 0) for state in ItemState if state is not ItemState.DONE},
            ready=ready,
            lines=tuple(self._line(self._items[signal_id], paused, ruling) for signal_id in chosen),
            claims=dict(self.claims.holders),
        )

    def _line(self, item: Item, paused: bool, ruling: Callable[[Lane], Ruling]) -> QueueLine:
        queued = item.state is ItemState.QUEUED
        blocked = self.claims.blocker(item.signal.targets) if queued else None
        return QueueLine(
            signal_id=item.id,
            state=item.state,
            goal=item.signal.goal,
            source=item.signal.source.value,
            urgency=item.signal.urgency.name.lower(),
            priority=priority(self.order.inputs(item)),
            attempts=item.attempts,
            queued_at=item.queued_at,
            op_id=item.op_id,
            reason=item.reason,
            branch=item.branch,
            waits_for=blocked[1] if blocked else None,
            waits=self._waits(item, blocked, paused, ruling) if queued else "",
            history=item.history,
        )

    def _waits(
        self, item: Item, blocked: tuple[str, str] | None, paused: bool, ruling: Callable[[Lane], Ruling]
    ) -> str:
        """Why a queued item does not run now; empty when nothing but its turn is missing."""
        if paused:
            return "paused: `ouro resume` goes on"
        if blocked is not None:
            return f"{blocked[0]} belongs to {blocked[1]}"
        if self.order.sleeps(item.id):
            return f"may be merged with others on its files until {item.not_before}"
        held = ruling(Lane.of(item))
        until = f"; looked at again at {stamp(held.until)}" if held.until else ""
        return f"held back: {held.reason} ({held.rule}){until}" if not held.free else ""
