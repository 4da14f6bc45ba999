"""The code index is told of every saved file and every commit, so that it is fresh before anybody asks it.

No sensor: nothing it sees is a reason to work.
"""

from __future__ import annotations

import logging

from ledger.errors import OuroError
from sensors.bus import Bus, Delivery, Event, Topic
from sensors.doors import CodeIndexDoor

log = logging.getLogger(__name__)


class CodeFollower:
    """Hands on what the watcher publishes, for as long as :meth:`run` runs. ``note`` says why the index is behind."""

    def __init__(self, *, index: CodeIndexDoor) -> None:
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
