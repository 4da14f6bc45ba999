"""The order of what waits: best first among those whose files are free, without sorting the whole queue.

Heaps with lazy deletion, one a lane: a lane that the governor holds back is passed over, however long it is. A signal
whose file is held is set aside under that file and comes back when it is freed; a signal that waits for others to merge
with comes back at its time.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from ledger.clock import unstamp
from ledger.vocabulary import Source
from sensors.intake.claims import FileClaims
from sensors.intake.governor import Lane
from sensors.intake.priority import MAX_BLOCKED, PriorityInputs, order_key, priority
from sensors.intake.records import Item
from sensors.ports import TrackRecord

Entry = tuple[int, str, int]  # order key, signal id, version
Free = Callable[[Lane], bool]


def no_record(source: Source) -> tuple[int, int]:
    """No record of a source's earlier claims."""
    return 0, 0


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class WaitingOrder:
    """All QUEUED items. Every method is synchronous."""

    def __init__(
        self, *, ageing_s: float, claims: FileClaims, alignment: Callable[[Item], int], record: TrackRecord
    ) -> None:
        self._ageing_ms = int(ageing_s * 1000)
        self._record = record
        self._claims = claims
        self._alignment = alignment
        self._items: dict[str, Item] = {}
        self._aligned: dict[str, int] = {}
        self._by_file: dict[str, dict[str, None]] = {}  # in order of arrival
        self._version: dict[str, int] = {}  # of an item's one valid entry in the heap
        self._versions = itertools.count(1)
        self._sleeping: set[str] = set()
        self._heaps: dict[Lane, list[Entry]] = {}
        self.lanes: Counter[Lane] = Counter()  # how many items wait in each
        self._later: list[tuple[int, str]] = []
        self._aside: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def __contains__(self, signal_id: str) -> bool:
        return signal_id in self._items

    def inputs(self, item: Item) -> PriorityInputs:
        """Inputs of the formula for an item, in the present queue."""
        signal, aligned = item.signal, self._aligned.get(item.id)
        hits, outcomes = self._record(signal.source)
        return PriorityInputs(
            source=signal.source,
            urgency=signal.urgency,
            files=len(signal.targets),
            confidence_bp=signal.confidence_bp,
            hits=hits,
            outcomes=outcomes,
            behind=self._behind(item),
            alignment=self._alignment(item) if aligned is None else aligned,
        )

    def add(self, item: Item) -> None:
        """Put an item into the queue, under its priority or aside until its time has come."""
        self._items[item.id] = item
        self._aligned[item.id] = self._alignment(item)
        self.lanes[Lane.of(item)] += 1
        for path in item.signal.targets:
            self._by_file.setdefault(path, {})[item.id] = None
        self._later_or_ready(item)
        self._neighbours_changed(item)

    def remove(self, signal_id: str) -> Item:
        """Take an item out. Its entries in the heaps die by their version."""
        item = self._items.pop(signal_id)
        del self._aligned[signal_id]
        self._version.pop(signal_id, None)
        self._sleeping.discard(signal_id)
        self._leave(Lane.of(item))
        for path in dict.fromkeys(item.signal.targets):
            others = self._by_file[path]
            others.pop(signal_id, None)
            if not others:
                del self._by_file[path]
        self._neighbours_changed(item)
        return item

    def realign(self, points: Mapping[str, int]) -> None:
        """Other alignments count from now on, by signal id; what has left the queue is passed over."""
        for signal_id, new in points.items():
            if signal_id in self._items and self._aligned[signal_id] != new:
                self._aligned[signal_id] = new
                if signal_id in self._version:  # neither asleep nor aside
                    self._push(self._items[signal_id])

    def sharing(self, item: Item) -> Iterator[Item]:
        """Other waiting items that share a file with ``item``, for each file in order of arrival."""
        seen = {item.id}
        for path in item.signal.targets:
            for signal_id in self._by_file.get(path, ()):
                if signal_id not in seen:
                    seen.add(signal_id)
                    yield self._items[signal_id]

    def freed(self, paths: Iterable[str]) -> None:
        """Files were released: signals that waited for them take part again."""
        for path in paths:
            for signal_id in self._aside.pop(path, ()):
                if signal_id in self._items:
                    self._push(self._items[signal_id])

    def best(self, now: datetime, free: Free) -> Item | None:
        """The first item of a free lane whose time has come and whose files are free; it stays in the queue."""
        self._wake(now)
        fronts = (self._front(heap) for lane, heap in self._heaps.items() if heap and free(lane))
        found = min((front for front in fronts if front is not None), default=None)
        return self._items[found[1]] if found is not None else None

    def _front(self, heap: list[Entry]) -> Entry | None:
        """The first valid entry of a heap; entries that may not run are set aside."""
        while heap:
            key, signal_id, version = heap[0]
            again: Item | None = None
            if self._version.get(signal_id) == version:
                item = self._items[signal_id]
                blocked = self._claims.blocker(item.signal.targets)
                if blocked is None and self._key(item) <= key:
                    return heap[0]
                if blocked is None:  # its source was wrong meanwhile: others may come first now
                    again = item
                else:
                    self._aside.setdefault(blocked[0], set()).add(signal_id)
                del self._version[signal_id]
            heapq.heappop(heap)
            if again is not None:
                self._push(again)
        return None

    def due(self) -> datetime | None:
        """When the next waiting item's time comes."""
        while self._later and self._later[0][1] not in self._sleeping:
            heapq.heappop(self._later)
        return unstamp(self._items[self._later[0][1]].not_before) if self._later else None

    def ready(self, now: datetime, slots: int, free: Free) -> tuple[str, ...]:
        """The ids of the ``slots`` best items that could run now. Nothing is taken."""
        self._wake(now)
        found: list[str] = []
        heaps = [heap for lane, heap in self._heaps.items() if heap and free(lane)]
        front = [(heap[0], number, 0) for number, heap in enumerate(heaps)]  # entries whose parents were looked at
        heapq.heapify(front)
        while front and len(found) < slots:
            (_, signal_id, version), number, at = heapq.heappop(front)
            heap = heaps[number]
            for child in (2 * at + 1, 2 * at + 2):
                if child < len(heap):
                    heapq.heappush(front, (heap[child], number, child))
            valid = self._version.get(signal_id) == version
            if valid and self._claims.blocker(self._items[signal_id].signal.targets) is None:
                found.append(signal_id)
        return tuple(found)

    def sleeps(self, signal_id: str) -> bool:
        """Does it still wait for others to merge with?"""
        return signal_id in self._sleeping

    def _leave(self, lane: Lane) -> None:
        self.lanes[lane] -= 1
        if not self.lanes[lane]:
            del self.lanes[lane]
            self._heaps.pop(lane, None)  # what is left in it is dead

    def _behind(self, item: Item) -> int:
        others: set[str] = set()
        for path in item.signal.targets:
            for signal_id in self._by_file.get(path, ()):
                if signal_id != item.id:
                    others.add(signal_id)
                if len(others) >= MAX_BLOCKED:  # the formula counts no further
                    return MAX_BLOCKED
        return len(others)

    def _later_or_ready(self, item: Item) -> None:
        if unstamp(item.not_before) > unstamp(item.queued_at):
            self._sleeping.add(item.id)
            heapq.heappush(self._later, (_ms(unstamp(item.not_before)), item.id))
        else:
            self._push(item)

    def _push(self, item: Item) -> None:
        version = self._version[item.id] = next(self._versions)
        lane = Lane.of(item)
        heap = self._heaps.setdefault(lane, [])
        heapq.heappush(heap, (self._key(item), item.id, version))
        if len(heap) > 4 * self.lanes[lane] + 64:
            heap[:] = [entry for entry in heap if self._version.get(entry[1]) == entry[2]]
            heapq.heapify(heap)

    def _key(self, item: Item) -> int:
        return order_key(priority(self.inputs(item)), _ms(unstamp(item.queued_at)), self._ageing_ms)

    def _wake(self, now: datetime) -> None:
        while self._later and self._later[0][0] <= _ms(now):
            _, signal_id = heapq.heappop(self._later)
            if signal_id in self._sleeping:
                self._sleeping.discard(signal_id)
                self._push(self._items[signal_id])

    def _neighbours_changed(self, item: Item) -> None:
        """Update the others on the same files, whose count has changed, where it is not saturated."""
        for path in item.signal.targets:
            sharing = self._by_file.get(path, ())
            if len(sharing) > MAX_BLOCKED + 1:
                continue
            for signal_id in sharing:
                if signal_id != item.id and signal_id in self._version:  # neither asleep nor aside
                    self._push(self._items[signal_id])
