"""Runs sensors, and the feed of the code index, on the event bus. A failing sensor ends alone."""

from __future__ import annotations

import logging
from typing import Any

from ledger.errors import LedgerError, OuroError
from ledger.events.sensing import SensorStopped
from ledger.store import Ledger
from ledger.vocabulary import Source
from sensors.bus import Bus, Delivery, Event, Topic
from sensors.ports import CodeIndexPort
from sensors.sensor import Sensor, SensorState

log = logging.getLogger(__name__)


class SensorRunner:
    """Runs one sensor for the daemon's task group."""

    def __init__(self, *, sensor: Sensor[Any], ledger: Ledger) -> None:
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
        """The state of the sensor, or why it stopped."""
        state = self._sensor.state()
        return state.model_copy(update={"line": self._failure, "running": False}) if self._failure else state


log = logging.getLogger(__name__)


class CodeFollower:
    """Updates the code index from events while :meth:`run` runs. ``note`` is why the index is outdated."""

    def __init__(self, *, index: CodeIndexPort) -> None:
        self.note = ""
        self._index = index

    async def run(self, bus: Bus) -> None:
        """Take everything in once, then what changes, until cancelled. The daemon's task group owns this."""
        async with bus.subscribe(Topic.FILES_CHANGED, Topic.REFS_MOVED) as events:
            await self._look(None)
            async for delivery in events:
                await self._look(delivery)

    async def _look(self, delivery: Delivery | None) -> None:
        try:
            if delivery is None or self.note or delivery.missed or _is_about_all(delivery.event):
                await self._index.take_in()
            else:
                await self._index.refresh(delivery.event.paths)
            self.note = ""
        except OuroError as error:  # the index is a help, not a condition: the next event makes up for it
            self.note = f"the code index is behind: {error}"
            log.warning("the code index is behind: %s", error)


def _is_about_all(event: Event) -> bool:
    return event.everything or event.topic is Topic.REFS_MOVED
