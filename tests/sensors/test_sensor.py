"""One look at a time, woken by a real bus; what stands in the way is shown and ends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ledger.clock import SystemClock
from ledger.errors import RepositoryError
from ledger.vocabulary import Signal, Source
from sensors.bus import Bus, Event, Topic
from sensors.sensor import Sensor, SensorState
from sensors.todo import SPEC

QUIET_S = 0.05


class Window(Sensor[Any]):
    """Looks when the refs have moved. A look takes ``look_s``; ``busy`` says what it meets."""

    spec = SPEC

    def __init__(self, *, look_s: float = 0.0, busy: str = "") -> None:
        self._turn = asyncio.Lock()
        self._say("has not looked yet")
        self.look_s = look_s
        self.busy = busy
        self.at_once = self.most_at_once = 0
        self.looked = asyncio.Semaphore(0)

    async def start(self, bus: Bus) -> None:
        await self._look_after(bus, Topic.REFS_MOVED, quiet_s=QUIET_S, most_s=10)

    async def _scan(self) -> tuple[Signal, ...]:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(self.look_s)
            if self.busy:
                raise RepositoryError(self.busy, remedy="Finish it.")
            return self._say("Nothing new.")
        finally:
            self.at_once -= 1
            self.looked.release()


@asynccontextmanager
async def woken(window: Window) -> AsyncIterator[Bus]:
    bus = Bus(clock=SystemClock())
    running = asyncio.create_task(window.start(bus))
    try:
        async with asyncio.timeout(20):
            yield bus
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_two_looks_do_not_overlap() -> None:
    window = Window(look_s=0.01)
    assert window.state() == SensorState(source=Source("todo_scanner"), line="has not looked yet")
    assert await asyncio.gather(*(window.scan_once() for _ in range(3))) == [(), (), ()]
    assert window.most_at_once == 1
    assert window.state() == SensorState(source=Source("todo_scanner"), line="Nothing new.")


async def test_what_stands_in_the_way_is_shown_until_the_next_look() -> None:
    window = Window(busy="A merge is under way.")
    async with woken(window) as bus:
        await window.looked.acquire()
        assert (window.state().line, window.state().problem) == ("A merge is under way. Finish it.",) * 2
        with pytest.raises(RepositoryError):  # who asks himself is told so
            await window.scan_once()
        await window.looked.acquire()
        window.busy = ""
        bus.publish(Event(topic=Topic.REFS_MOVED))
        await window.looked.acquire()
        assert (window.state().line, window.state().problem) == ("Nothing new.", "")


async def test_events_that_come_close_together_are_one_look() -> None:
    window = Window()
    async with woken(window) as bus:
        await window.looked.acquire()
        for _ in range(4):
            bus.publish(Event(topic=Topic.REFS_MOVED))
            bus.publish(Event(topic=Topic.TESTS_REPORTED))
            await asyncio.sleep(0)
        await window.looked.acquire()
        await asyncio.sleep(QUIET_S * 3)
        assert window.looked.locked()  # no other look came
