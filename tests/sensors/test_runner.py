from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ledger.clock import SystemClock
from ledger.vocabulary import EntryKind, Signal
from sensors.bus import Bus
from sensors.registry import SPECS
from sensors.runner import SensorRunner
from sensors.sensor import Sensor, SensorState
from tests.sensors.signals import open_ledger


class Clumsy(Sensor[Any]):
    """A sensor with a bug."""

    spec = SPECS[0]

    def __init__(self) -> None:
        self._state = SensorState(source=self.source, line="fine")

    async def start(self, bus: Bus) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._scan())

    async def _scan(self) -> tuple[Signal, ...]:
        raise ZeroDivisionError("one over nothing")


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
