"""The schedule on a real repository, ledger and router; time goes by when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import RepositoryError
from ledger.events.sensing import ScheduleSettled
from ledger.vocabulary import OwnerConfirms, Signal, Source, TestsPass, Urgency
from sensors.bus import Bus, Event, Topic
from sensors.intake.records import Receipt
from sensors.scheduled.schedule import ScheduledSettings
from sensors.scheduled.sensor import ScheduledTrigger
from tests.repos import commit, git
from tests.sensors.looking import Scene, scene
from tests.sensors.signals import START

HOUR_S = 3_600.0
NIGHTLY = {"cron": "0 3 * * *", "goal": "Look over the prices, hunter2", "files": ["a.py"]}  # START is noon, a Monday


class Bell:
    """An alarm on a clock that stands still: a test moves the clock, then rings."""

    def __init__(self) -> None:
        self.set_for: list[datetime] = []
        self._waiting: list[Callable[[], None]] = []
        self.armed = asyncio.Event()

    @contextmanager
    def __call__(self, moment: datetime, ring: Callable[[], None]) -> Iterator[None]:
        self.set_for.append(moment)
        self._waiting.append(ring)
        self.armed.set()
        try:
            yield
        finally:
            self._waiting.remove(ring)

    async def ring(self) -> None:
        """Goes off; returns when the next one is set."""
        await self.armed.wait()
        self.armed.clear()
        for ring in tuple(self._waiting):
            ring()
        await asyncio.wait_for(self.armed.wait(), 30)


def trigger(s: Scene, bell: Bell | None = None, *, catch_up_s: float = 86_400.0, **entries: Any) -> ScheduledTrigger:
    """A new sensor on the same ledger, as after a restart."""
    told = ScheduledSettings.model_validate({"entries": entries or {"prices": NIGHTLY}, "catch_up_s": catch_up_s})
    return ScheduledTrigger(ports=s.ports(alarm=bell or Bell()), settings=told)


async def settled(s: Scene) -> list[str]:
    """What became of each due time."""
    entries = await s.ledger.entries(events=(ScheduleSettled,))
    return [entry.payload["what"] for entry in entries]


async def over(s: Scene) -> None:
    """The owner drops what waits."""
    for line in s.router.snapshot().lines:
        await s.router.drop(line.signal_id, "not now")


async def test_what_is_due_is_sent_once_and_says_what_it_rests_on(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        sensor = trigger(s)
        assert await sensor.scan_once() == ()  # nothing was due before it was there
        assert sensor.state().line == "Next is prices, 2026-01-06 03:00 UTC."
        s.clock.advance(15 * HOUR_S - 1)
        assert await sensor.scan_once() == ()
        s.clock.advance(1)
        (signal,) = await sensor.scan_once()
        assert (signal.source, signal.targets, signal.urgency) == (Source("scheduled"), ("a.py",), Urgency.NORMAL)
        assert signal.goal == "Look over the prices, [secret]" and signal.base == git(s.repo, "rev-parse", "HEAD")
        assert isinstance(signal.closure, OwnerConfirms)
        assert signal.evidence[0].evidence == "prices, 0 3 * * *: due 2026-01-06 03:00 UTC"
        assert await sensor.scan_once() == () and await trigger(s).scan_once() == ()
        assert await settled(s) == ["begun", "queued"]


async def test_what_came_due_while_nobody_was_there_is_done_once_if_it_is_not_too_long_ago(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        await trigger(s).scan_once()
        s.clock.advance(5 * 24 * HOUR_S)
        (signal,) = await trigger(s).scan_once()
        assert "due 2026-01-10 03:00 UTC" in signal.evidence[0].evidence
        assert await trigger(s).scan_once() == ()
        await over(s)
        s.clock.advance(5 * 24 * HOUR_S)
        assert await trigger(s, catch_up_s=HOUR_S).scan_once() == ()
        assert await trigger(s).scan_once() == ()  # and that is settled
        assert (await settled(s))[-1].startswith("missed")


class Killed(BaseException):
    """The daemon is gone."""


async def test_a_kill_between_sending_and_noting_so_does_not_send_twice(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        await trigger(s).scan_once()
        s.clock.advance(16 * HOUR_S)

        async def sent_and_killed(signal: Signal) -> Receipt:
            await s.router.submit(signal)
            raise Killed

        told = ScheduledSettings.model_validate({"entries": {"prices": NIGHTLY}})
        ports = replace(s.ports(), emit=sent_and_killed)
        dying = ScheduledTrigger(ports=ports, settings=told)
        with pytest.raises(Killed):
            await dying.scan_once()
        (line,) = s.router.snapshot().lines
        await s.router.drop(line.signal_id, "done with before the sensor is back")
        commit(s.repo, "and the tree is another")
        s.clock.advance(HOUR_S)
        assert await trigger(s).scan_once() == () and s.router.snapshot().lines == ()
        assert (await settled(s))[-1] == "sent before"


async def test_a_clock_that_is_set_sends_nothing_twice_and_loses_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        sensor = trigger(s)
        await sensor.scan_once()
        s.clock.advance(15.5 * HOUR_S)
        assert len(await sensor.scan_once()) == 1
        await over(s)
        s.clock.advance(-HOUR_S)  # back before the due time
        assert await sensor.scan_once() == ()
        s.clock.advance(HOUR_S)
        assert await sensor.scan_once() == ()
        s.clock.advance(400 * 24 * HOUR_S)  # a clock that runs away, and comes back
        assert len(await sensor.scan_once()) == 1
        await over(s)
        s.clock.advance(-400 * 24 * HOUR_S)
        assert await sensor.scan_once() == ()
        s.clock.advance(24 * HOUR_S)
        assert len(await sensor.scan_once()) == 1


async def test_the_next_one_is_passed_over_while_the_last_is_not_done_with(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        sensor = trigger(s)
        await sensor.scan_once()
        s.clock.advance(16 * HOUR_S)
        assert len(await sensor.scan_once()) == 1
        s.clock.advance(24 * HOUR_S)
        assert await sensor.scan_once() == ()
        assert (await settled(s))[-1].startswith("passed over")
        await over(s)
        assert await sensor.scan_once() == ()  # only at the next time
        s.clock.advance(24 * HOUR_S)
        assert len(await sensor.scan_once()) == 1


async def test_other_times_are_another_schedule(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        await trigger(s).scan_once()
        s.clock.advance(16 * HOUR_S)
        assert await trigger(s, prices={**NIGHTLY, "tz": "Asia/Tokyo"}).scan_once() == ()
        s.clock.advance(24 * HOUR_S)
        (signal,) = await trigger(s, prices={**NIGHTLY, "tz": "Asia/Tokyo"}).scan_once()
        assert "due 2026-01-07 03:00 Asia/Tokyo" in signal.evidence[0].evidence


async def test_where_the_kernel_takes_no_words_only_tests_are_asked_for(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        tested = {**NIGHTLY, "closed_when": ["tests/test_a.py::test_b"]}
        told = ScheduledSettings.model_validate({"entries": {"prices": NIGHTLY, "tested": tested}})
        ports = s.ports(unavailable=lambda: "it only fills holes")
        sensor = ScheduledTrigger(ports=ports, settings=told)
        await sensor.scan_once()
        s.clock.advance(16 * HOUR_S)
        (signal,) = await sensor.scan_once()
        assert signal.closure == TestsPass(ids=("tests/test_a.py::test_b",))
        assert "unavailable: it only fills holes" in await settled(s)


async def test_it_sleeps_until_the_next_time_and_wakes_when_a_busy_repository_is_free(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        bus, bell = Bus(clock=s.clock), Bell()
        sensor = trigger(s, bell, prices=NIGHTLY, later={**NIGHTLY, "cron": "30 14 * * *"})
        running = asyncio.create_task(sensor.start(bus))
        try:
            await asyncio.wait_for(bell.armed.wait(), 30)
            assert bell.set_for == [START + timedelta(hours=2.5)]
            await bell.ring()  # it goes off for nothing: the clock was set
            assert bell.set_for[1:] == [START + timedelta(hours=2.5)] and s.sent == []
            s.clock.advance(2.5 * HOUR_S)
            await bell.ring()
            assert len(s.sent) == 1 and bell.set_for[-1] == START + timedelta(hours=15)
            head = s.repo / ".git" / "MERGE_HEAD"
            head.write_text(git(s.repo, "rev-parse", "HEAD") + "\n")
            s.clock.advance(12.5 * HOUR_S)
            await bell.ring()
            assert len(s.sent) == 1 and "merge" in sensor.state().problem
            head.unlink()
            bell.armed.clear()
            bus.publish(Event(topic=Topic.REFS_MOVED))
            await asyncio.wait_for(bell.armed.wait(), 30)
            assert [signal.targets for signal in s.sent] == [("a.py",), ("a.py",)] and not sensor.state().problem
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_a_busy_repository_is_said_to_whoever_asks(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        await trigger(s).scan_once()
        s.clock.advance(16 * HOUR_S)
        (s.repo / ".git" / "MERGE_HEAD").write_text(git(s.repo, "rev-parse", "HEAD") + "\n")
        with pytest.raises(RepositoryError):
            await trigger(s).scan_once()
