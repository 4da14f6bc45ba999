"""What a sensor is: one class that watches for one kind of condition.

Each signal carries the check that says later whether its condition is gone; `sensors.closure` answers it.
"""

from __future__ import annotations

from typing import Protocol

from ledger.vocabulary import Frozen, Signal, Source
from sensors.bus import Bus


class SensorState(Frozen):
    """What `ouro status` shows of a sensor."""

    source: Source
    line: str  # one clear sentence
    running: bool = False
    problem: str = ""  # why the last look gave no answer; ``remedy`` says what to do
    remedy: str = ""
    note: str = ""  # something the owner may want to know, without any work following from it


class Sensor(Protocol):
    """A sensor costs nothing while nothing happens: it is woken by the bus."""

    @property
    def source(self) -> Source: ...

    async def start(self, bus: Bus) -> None:
        """Subscribe, look once, and go on until cancelled. The caller's task group owns this."""
        ...

    async def scan_once(self) -> tuple[Signal, ...]:
        """Look now, whatever happened; returns the signals that were submitted."""
        ...

    def state(self) -> SensorState: ...
