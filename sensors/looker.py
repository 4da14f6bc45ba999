"""Base class of sensors: one look at a time, with the result of the last one for status."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from ledger.errors import OuroError
from ledger.vocabulary import Signal, Source
from sensors.bus import Bus, Topic, until_quiet, wake_at
from sensors.ports import DepthOf, RepositoryPort
from sensors.sensor import SensorState

TRAILER = "Ouro-Op"


async def depth_at(repository: RepositoryPort, depth_of: DepthOf, commit: str, path: str = "") -> int:
    """One more than the op that made ``commit``, when it was one of ours; else 0. With ``path``: that of the commit
    which changed the file last, of those that ``commit`` contains."""
    trailers = await repository.trailers(commit, path)
    op_id = trailers.get(TRAILER, "").partition("\n")[0].strip()
    return await depth_of(op_id) + 1 if op_id else 0


NOT_YET = "has not looked yet"


class Looker(ABC):
    """A subclass names its ``source``, says what a look is, and in ``start`` when it looks."""

    source: ClassVar[Source]

    def __init__(self, *, line: str = NOT_YET) -> None:
        self._turn = asyncio.Lock()
        self._state = SensorState(source=self.source, line=line)

    @abstractmethod
    async def _scan(self) -> tuple[Signal, ...]:
        """One look: the signals that were submitted. Raises ``OuroError`` where nothing can be looked at."""

    async def scan_once(self) -> tuple[Signal, ...]:
        """Look now, whatever happened. Raises what the look raises."""
        async with self._turn:
            return await self._scan()

    def state(self) -> SensorState:
        return self._state

    async def _look(self) -> None:
        """Look now; what stands in the way is shown, and whatever wakes the sensor next is another chance."""
        with self._shown():
            await self.scan_once()

    async def _look_after(self, bus: Bus, *topics: Topic, quiet_s: float, most_s: float) -> None:
        """Look once, then when events of ``topics`` have come, and none for ``quiet_s`` (or after ``most_s``)."""
        wake = asyncio.Event()
        wake.set()
        async with bus.subscribe(*topics) as events, asyncio.TaskGroup() as group:
            group.create_task(wake_at(events, wake))
            while True:
                await wake.wait()
                await until_quiet(wake, quiet_s=quiet_s, most_s=most_s)
                await self._look()

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """An error that the daemon knows ends the block, and stands in status."""
        try:
            yield
        except OuroError as error:
            self._say(str(error), problem=str(error))

    def _say(self, line: str, *, problem: str = "", remedy: str = "", running: bool = False) -> tuple[()]:
        """What status shows from now on. No signal, so that a look can end with it."""
        self._state = SensorState(source=self.source, line=line, problem=problem, remedy=remedy, running=running)
        return ()
