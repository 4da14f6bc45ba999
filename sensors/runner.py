"""The named boundary of sensors: one that fails is shown as such and never takes the daemon with it."""

from __future__ import annotations

import logging

from ledger.errors import LedgerError
from ledger.events.sensing import SensorStopped
from ledger.store import Ledger
from ledger.vocabulary import Source
from sensors.bus import Bus
from sensors.sensor import Sensor, SensorState

log = logging.getLogger(__name__)


class SensorRunner:
    """Runs one sensor for the daemon's task group."""

    def __init__(self, *, sensor: Sensor, ledger: Ledger) -> None:
        self._sensor = sensor
        self._ledger = ledger
        self._failure = ""

    @property
    def source(self) -> Source:
        return self._sensor.source

    async def run(self, bus: Bus) -> None:
        """The sensor's own run. An error that it did not foresee ends it: a line in status and an entry remain."""
        try:
            await self._sensor.start(bus)
        except Exception as error:  # the named boundary
            first = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
            self._failure = f"stopped: {type(first).__name__}: {first}"
            log.error("sensor %s stopped", self._sensor.source.value, exc_info=error)
            stopped = SensorStopped(sensor=self._sensor.source.value, error=self._failure[:500])
            try:
                await self._ledger.append(stopped.draft())
            except LedgerError:
                log.exception("the ledger does not take that sensor %s stopped", self._sensor.source.value)

    def state(self) -> SensorState:
        """What the sensor says of itself, or why it says nothing any more."""
        state = self._sensor.state()
        return state.model_copy(update={"line": self._failure, "running": False}) if self._failure else state
