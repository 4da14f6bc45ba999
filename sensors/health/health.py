"""Health: a sample every half minute, the last of them kept, and what they come to.

The one source of facts about the machine: the governor, status and the sensors that ask whether it is calm go by it.
Its timer is the only one of a daemon at rest; whatever else has to be looked at now and then rides on it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ledger.clock import Clock, stamp
from sensors.health.levels import Vitals, describe_level, judge_levels
from sensors.health.sample import Gauges, Sample
from sensors.intake.pressure import Level


class HealthSettings(BaseModel):
    """How often the machine is looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every_s: float = Field(30.0, gt=0, description="Time between two looks at the machine.")
    kept: int = Field(720, ge=1, description="Looks that are kept: six hours at 30 s.")


class MachineReading(NamedTuple):
    """A sample, and what it comes to after those before it."""

    sample: Sample
    vitals: Vitals


def nothing_late() -> int:
    """Where the event loop is not measured."""
    return 0


def _no_listener() -> None:
    return None


class Health:
    """Without :meth:`run` it looks on request. ``lag_ms``: of the event loop while it is measured, else 0.

    ``on_sample`` is called after each look of :meth:`run`.
    """

    def __init__(
        self,
        *,
        gauges: Gauges,
        clock: Clock,
        settings: HealthSettings | None = None,
        lag_ms: Callable[[], int] = nothing_late,
        on_sample: Callable[[], object] = _no_listener,
    ) -> None:
        self._gauges = gauges
        self._clock = clock
        self._settings = settings or HealthSettings()
        self._lag_ms = lag_ms
        self._on_sample = on_sample
        self._provider_problem = ""
        self._seen: deque[MachineReading] = deque(maxlen=self._settings.kept)
        self._at: float | None = None  # monotonic, of the newest
        self._late_ms = 0  # how much later than it was due our own timer was called
        self._looking = asyncio.Lock()
        self._fresh = asyncio.Condition()

    # --- what it knows ---

    @property
    def seen(self) -> tuple[MachineReading, ...]:
        """What is kept, oldest first."""
        return tuple(self._seen)

    @property
    def vitals(self) -> Vitals:
        """What the newest sample comes to; a machine that is well before the first."""
        return self._seen[-1].vitals if self._seen else Vitals()

    @property
    def line(self) -> str:
        """One sentence for who asks why nothing is begun; empty while the machine is well."""
        if not self._seen or self.vitals.worst is Level.NORMAL:
            return ""
        sample, vitals = self._seen[-1]
        why = "; ".join(
            f"{part.value} {describe_level(sample, part)}" for part, level in vitals.levels.items() if level
        )
        return f"the machine is {vitals.condition.value}, score {vitals.score}: {why}"

    def report_provider(self, problem: str) -> None:
        """Take note why the model could not answer when it was last checked; empty: it could."""
        self._provider_problem = problem

    async def look(self) -> Vitals:
        """What is known now: looks when the last look is older than :attr:`HealthSettings.every_s`."""
        async with self._looking:
            now = self._clock.monotonic()
            if self._at is None or now - self._at >= self._settings.every_s:
                await self._sample(now)
        return self.vitals

    # --- looking ---

    async def next(self) -> None:
        """Return after the next look of :meth:`run`."""
        async with self._fresh:
            await self._fresh.wait()

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        loop, due = asyncio.get_running_loop(), asyncio.Event()
        while True:
            async with self._looking:
                await self._sample(self._clock.monotonic())
            self._on_sample()
            async with self._fresh:
                self._fresh.notify_all()
            due.clear()
            handle = loop.call_later(self._settings.every_s, self._called, due, loop.time() + self._settings.every_s)
            try:
                await due.wait()
            finally:
                handle.cancel()

    def _called(self, due: asyncio.Event, when: float) -> None:
        self._late_ms = max(0, round(1000 * (asyncio.get_running_loop().time() - when)))
        due.set()

    async def _sample(self, now: float) -> None:
        lag = max(self._late_ms, self._lag_ms())
        sample = await asyncio.to_thread(
            self._gauges.read, at=stamp(self._clock.now()), lag_ms=lag, provider=self._provider_problem
        )
        self._seen.append(MachineReading(sample, judge_levels(sample, self.vitals.levels)))
        self._at = now
