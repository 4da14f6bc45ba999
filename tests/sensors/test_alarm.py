"""Timers of the wall clock, as the kernel keeps them."""

from __future__ import annotations

import asyncio
import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sensors.alarm import wall_alarm


async def test_it_goes_off_at_its_moment_and_at_once_for_one_that_is_past() -> None:
    for ahead_s in (-3_600.0, 0.2):
        rang = asyncio.Event()
        moment = datetime.now(UTC) + timedelta(seconds=ahead_s)
        with wall_alarm(moment, rang.set):
            await asyncio.wait_for(rang.wait(), 30)
        assert datetime.now(UTC) >= moment


async def test_one_that_is_not_waited_for_leaves_nothing() -> None:
    rang = asyncio.Event()
    with wall_alarm(datetime(2999, 1, 1, tzinfo=UTC), rang.set):
        held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_timer(fd)]
        assert held == ["anon_inode:[timerfd]"]
    assert not rang.is_set()


def _is_timer(fd: str) -> bool:
    link = Path(f"/proc/self/fd/{fd}")
    return link.is_symlink() and "timerfd" in os.readlink(link)


async def test_it_is_a_timer_of_the_wall_clock_that_is_told_when_the_clock_is_set() -> None:
    with wall_alarm(datetime(2999, 1, 1, tzinfo=UTC), lambda: None):
        fd = next(fd for fd in os.listdir("/proc/self/fd") if _is_timer(fd))
        told = Path(f"/proc/self/fdinfo/{fd}").read_text()
    assert "clockid: 0" in told  # CLOCK_REALTIME: it counts while the machine sleeps
    assert "settime flags: 03" in told  # at a moment, not after a time; and cancelled when the clock is set


async def test_when_the_clock_is_set_it_goes_off_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of this machine stays as it is: only what the kernel would answer then is played."""

    def cancelled(fd: int, count: int) -> bytes:
        raise OSError(errno.ECANCELED, "the clock was set")

    rang = asyncio.Event()
    with wall_alarm(datetime.now(UTC), rang.set):
        monkeypatch.setattr("sensors.alarm.os.read", cancelled)
        await asyncio.wait_for(rang.wait(), 30)
        monkeypatch.undo()
