from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ledger.clock import SystemClock
from ledger.vocabulary import EntryKind, Signal, Source
from sensors.bus import Bus
from sensors.runner import SensorRunner
from sensors.sensor import SensorState
from tests.sensors.signals import open_ledger


class Clumsy:
    """A sensor with a bug."""

    source = Source("test_failure")

    async def start(self, bus: Bus) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.scan_once())

    async def scan_once(self) -> tuple[Signal, ...]:
        raise ZeroDivisionError("one over nothing")

    def state(self) -> SensorState:
        return SensorState(source=self.source, line="fine")


async def test_a_sensor_that_breaks_is_shown_and_recorded_and_takes_nothing_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_ledger(tmp_path / "ledger.sqlite3", SystemClock()) as ledger:
        runner = SensorRunner(sensor=Clumsy(), ledger=ledger)
        assert runner.state().line == "fine"
        async with asyncio.TaskGroup() as group:
            group.create_task(runner.run(Bus(clock=SystemClock())))
        assert runner.state().line == "stopped: ZeroDivisionError: one over nothing"
        (entry,) = await ledger.entries(kinds=(EntryKind.SESSION,))
        assert entry.payload["sensor"] == "test_failure"
    assert "ZeroDivisionError" in caplog.text
