"""Health as it lives: one look at a time, the last ones kept, a timer that says how late it was called."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path

from ledger.clock import ManualClock, SystemClock
from sensors.health.health import Health, HealthSettings
from sensors.health.levels import Part
from sensors.health.sample import Gauges
from sensors.intake.pressure import Level

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SHORT, PLENTY = "MemTotal: 100 kB\nMemAvailable: 5 kB\n", "MemTotal: 100 kB\nMemAvailable: 90 kB\n"


def machine(folder: Path, memory: str = PLENTY) -> Gauges:
    (folder / "meminfo").write_text(memory)
    return Gauges(proc=folder, supplies=folder / "none")


async def test_it_looks_when_it_is_asked_and_not_more_often(tmp_path: Path) -> None:
    clock = ManualClock(START)
    health = Health(gauges=machine(tmp_path), clock=clock, settings=HealthSettings(kept=3), lag_ms=lambda: 300)
    assert (health.line, health.seen) == ("", ())
    first = await health.look()
    assert first.levels[Part.LOOP] is Level.HIGH
    machine(tmp_path, SHORT)
    assert (await health.look()).levels[Part.MEMORY] is Level.NORMAL  # too soon for another
    clock.advance(30)
    assert (await health.look()).levels[Part.MEMORY] is Level.HIGH
    assert health.line.startswith("the machine is DEGRADED, score 40: memory 5 % left")
    health.report_provider("The weights are not on this machine.")
    for _ in range(5):
        clock.advance(30)
        await asyncio.gather(health.look(), health.look())
    assert len(health.seen) == 3 and len({seen.sample.at for seen in health.seen}) == 3
    assert "provider The weights" in health.line


async def test_its_timer_tells_of_a_loop_that_was_held_up(tmp_path: Path) -> None:
    heard = 0

    def hear() -> None:
        nonlocal heard
        heard += 1

    health = Health(gauges=machine(tmp_path), clock=SystemClock(), settings=HealthSettings(every_s=0.2), on_sample=hear)
    running = asyncio.create_task(health.run())
    try:
        await asyncio.wait_for(health.next(), 10)
        while max(seen.sample.lag_ms for seen in health.seen) < 300:
            await asyncio.wait_for(health.next(), 10)
            await asyncio.sleep(0)
            time.sleep(0.9)  # noqa: ASYNC251  # somebody holds the loop up
        assert heard >= 2
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
