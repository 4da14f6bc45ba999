"""From samples to levels, states and a score. Pure.

A level rises as soon as a number passes its ``enter`` and falls only when it is back past ``leave``: a number that
trembles around a limit does not make the state flap.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from pydantic import Field

from ledger.vocabulary import Frozen
from sensors.health.sample import WHOLE_BP, Sample
from sensors.intake.pressure import Level, Pressure


class Part(StrEnum):
    """What is looked at."""

    MEMORY = "memory"
    PROCESSOR = "processor"
    DISK = "disk"
    BATTERY = "battery"
    LOOP = "loop"
    PROVIDER = "provider"


class Condition(StrEnum):
    """The named states: that of the part which is worst."""

    HEALTHY = "HEALTHY"
    STRAINED = "STRAINED"
    DEGRADED = "DEGRADED"
    CRITICAL = "CRITICAL"


class LevelChange(NamedTuple):
    """``level`` begins beyond ``enter`` and ends at ``leave``."""

    level: Level
    enter: int
    leave: int


Steps = tuple[LevelChange, ...]

USED_BP: Final[Steps] = (
    LevelChange(Level.ELEVATED, 8_500, 8_200),
    LevelChange(Level.HIGH, 9_300, 9_000),
    LevelChange(Level.CRITICAL, 9_700, 9_500),
)
MEMORY_STALLED_BP: Final[Steps] = (
    LevelChange(Level.ELEVATED, 1_000, 800),
    LevelChange(Level.HIGH, 2_000, 1_500),
    LevelChange(Level.CRITICAL, 4_000, 3_000),
)
CPU_STALLED_BP: Final[Steps] = (
    LevelChange(Level.ELEVATED, 4_000, 3_000),
    LevelChange(Level.HIGH, 6_000, 4_500),
    LevelChange(Level.CRITICAL, 9_500, 9_000),
)
DISK_SHORT_MB: Final = 2_048
"""With more free space than this nothing is short; what is missing to it is what the next steps count."""
DISK_MISSING_MB: Final[Steps] = (
    LevelChange(Level.ELEVATED, 0, -512),
    LevelChange(Level.HIGH, 1_536, 1_280),
    LevelChange(Level.CRITICAL, 1_948, 1_792),
)
DRAINED_BP: Final[Steps] = (LevelChange(Level.HIGH, 8_000, 7_500), LevelChange(Level.CRITICAL, 9_200, 9_000))
LAG_MS: Final[Steps] = (
    LevelChange(Level.ELEVATED, 50, 30),
    LevelChange(Level.HIGH, 250, 150),
    LevelChange(Level.CRITICAL, 1_000, 500),
)
COSTS: Final = MappingProxyType({Level.NORMAL: 0, Level.ELEVATED: 10, Level.HIGH: 30, Level.CRITICAL: 60})
WELL: Final = MappingProxyType(dict.fromkeys(Part, Level.NORMAL))


class Vitals(Frozen):
    """What a sample comes to, with what was before it. ``score``: 100 where nothing presses, 0 is the least."""

    levels: dict[Part, Level] = Field(default_factory=lambda: dict(WELL))

    @property
    def worst(self) -> Level:
        return max(self.levels.values())

    @property
    def condition(self) -> Condition:
        return list(Condition)[self.worst]

    @property
    def score(self) -> int:
        return max(0, 100 - sum(COSTS[level] for level in self.levels.values()))

    def surroundings(self, *, burn_bp: int = 0) -> Pressure:
        """What the governor goes by."""
        return Pressure(
            memory=self.levels[Part.MEMORY],
            cpu_pressed=self.levels[Part.PROCESSOR] >= Level.HIGH,
            on_battery=self.levels[Part.BATTERY] > Level.NORMAL,
            burn_bp=burn_bp,
        )


def level_of(value: int, before: Level, steps: Steps) -> Level:
    """The highest level that ``value`` has entered, or that was there before and that it has not left."""
    held = (s.level for s in steps if value > s.enter or (before >= s.level and value > s.leave))
    return max(held, default=Level.NORMAL)


def judge_levels(sample: Sample, before: Mapping[Part, Level] = WELL) -> Vitals:
    """The levels of a sample, after those of the one before it."""
    memory = before[Part.MEMORY]
    return Vitals(
        levels={
            Part.MEMORY: max(
                level_of(WHOLE_BP - sample.memory_left_bp, memory, USED_BP),
                level_of(sample.memory_stalled_bp, memory, MEMORY_STALLED_BP),
            ),
            Part.PROCESSOR: level_of(sample.cpu_stalled_bp, before[Part.PROCESSOR], CPU_STALLED_BP),
            Part.DISK: _disk(sample.disk_free_mb, before[Part.DISK]),
            Part.BATTERY: _battery(sample, before[Part.BATTERY]),
            Part.LOOP: level_of(sample.lag_ms, before[Part.LOOP], LAG_MS),
            Part.PROVIDER: Level.HIGH if sample.provider else Level.NORMAL,
        }
    )


def _disk(free_mb: int | None, before: Level) -> Level:
    return Level.NORMAL if free_mb is None else level_of(DISK_SHORT_MB - free_mb, before, DISK_MISSING_MB)


def _battery(sample: Sample, before: Level) -> Level:
    """What is plugged in is well, however empty."""
    if not sample.charge.draining:
        return Level.NORMAL
    return max(Level.ELEVATED, level_of(WHOLE_BP - sample.charge.left_bp, before, DRAINED_BP))


def describe_level(sample: Sample, part: Part) -> str:
    """What was seen of a part, in words."""
    return {
        Part.MEMORY: f"{_percent(sample.memory_left_bp)} left, waited for in {_percent(sample.memory_stalled_bp)}"
        " of the last minute",
        Part.PROCESSOR: f"waited for in {_percent(sample.cpu_stalled_bp)} of the last minute",
        Part.DISK: "not known" if sample.disk_free_mb is None else f"{sample.disk_free_mb} MB free",
        Part.BATTERY: f"drains, {_percent(sample.charge.left_bp)} left" if sample.charge.draining else "not in use",
        Part.LOOP: f"{sample.lag_ms} ms late",
        Part.PROVIDER: sample.provider or "can be asked",
    }[part]


def _percent(bp: int) -> str:
    return f"{bp // 100} %"
