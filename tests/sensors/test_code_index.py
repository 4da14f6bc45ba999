"""What the code index is told, and that its faults end nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from ledger.clock import SystemClock
from ledger.errors import ToolError
from sensors.bus import Bus, BusSettings, Event, Topic
from sensors.runner import CodeFollower


class Told:
    """Notes what it is told; fails as often as ``failing`` says."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[tuple[str, ...] | None] = asyncio.Queue()
        self.failing = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def take_in(self) -> None:
        await self._do(None)

    async def refresh(self, paths: Collection[str]) -> None:
        await self._do(tuple(paths))

    async def _do(self, what: tuple[str, ...] | None) -> None:
        await self.gate.wait()
        self.calls.put_nowait(what)
        if self.failing:
            self.failing -= 1
            raise ToolError("The disk is full.")

    async def next(self) -> tuple[str, ...] | None:
        return await asyncio.wait_for(self.calls.get(), 5)


@asynccontextmanager
async def following(**settings: int) -> AsyncIterator[tuple[Told, Bus, CodeFollower]]:
    told, bus = Told(), Bus(clock=SystemClock(), settings=BusSettings.model_validate(settings))
    follower = CodeFollower(index=told)
    task = asyncio.create_task(follower.run(bus))
    assert await told.next() is None  # at the start: everything
    try:
        yield told, bus, follower
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})


def saved(*paths: str, everything: bool = False) -> Event:
    return Event(topic=Topic.FILES_CHANGED, paths=paths, everything=everything)


async def test_saved_files_are_looked_at_alone_and_commits_as_a_whole() -> None:
    async with following() as (told, bus, _):
        bus.publish(saved("a.py", "b.py"))
        assert await told.next() == ("a.py", "b.py")
        bus.publish(Event(topic=Topic.REFS_MOVED, paths=("HEAD",)))
        assert await told.next() is None
        bus.publish(saved(everything=True))
        assert await told.next() is None
        bus.publish(Event(topic=Topic.TESTS_REPORTED, paths=("x.json",)))
        bus.publish(saved("c.py"))
        assert await told.next() == ("c.py",)


async def test_lost_events_mean_everything() -> None:
    async with following(queue_limit=2) as (told, bus, _):
        told.gate.clear()
        bus.publish(saved("first.py"))
        await asyncio.sleep(0)  # the follower has taken it and waits
        await asyncio.sleep(0)
        for n in range(4):
            bus.publish(saved(f"{n}.py"))
        told.gate.set()
        assert [await told.next() for _ in range(3)] == [("first.py",), None, ("3.py",)]


async def test_a_fault_is_told_and_made_up_for() -> None:
    async with following() as (told, bus, follower):
        told.failing = 1
        bus.publish(saved("a.py"))
        assert await told.next() == ("a.py",)
        bus.publish(saved("b.py"))
        assert await told.next() is None
        bus.publish(saved("c.py"))
        assert await told.next() == ("c.py",)
        assert follower.note == ""
        told.failing = 1
        bus.publish(saved("d.py"))
        await told.next()
        await asyncio.sleep(0)
        assert "the code index is behind: The disk is full." in follower.note
