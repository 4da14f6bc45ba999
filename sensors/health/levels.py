"""The machine's health from samples: a level for each part, a condition and a score. Pure.

A level begins above its ``enter`` and ends below its ``leave`` (hysteresis), so that a value near a limit does not make
the level flap.
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
    """Parts of the machine that are measured."""

    MEMORY = "memory"
    PROCESSOR = "processor"
    DISK = "disk"
    BATTERY = "battery"
    LOOP = "loop"
    PROVIDER = "provider"


class Condition(StrEnum):
    """Condition of the machine, by the worst level of its parts."""

    HEALTHY = "HEALTHY"
    STRAINED = "STRAINED"
    DEGRADED = "DEGRADED"
    CRITICAL = "CRITICAL"


class LevelLimits(NamedTuple):
    """Limits of a level: it begins above ``enter`` and ends at ``leave``."""

    level: Level
    enter: int
    leave: int


Limits = tuple[LevelLimits, ...]

USED_BP: Final[Limits] = (
    LevelLimits(Level.ELEVATED, 8_500, 8_200),
    LevelLimits(Level.HIGH, 9_300, 9_000),
    LevelLimits(Level.CRITICAL, 9_700, 9_500),
)
MEMORY_STALLED_BP: Final[Limits] = (
    LevelLimits(Level.ELEVATED, 1_000, 800),
    LevelLimits(Level.HIGH, 2_000, 1_500),
    LevelLimits(Level.CRITICAL, 4_000, 3_000),
)
CPU_STALLED_BP: Final[Limits] = (
    LevelLimits(Level.ELEVATED, 4_000, 3_000),
    LevelLimits(Level.HIGH, 6_000, 4_500),
    LevelLimits(Level.CRITICAL, 9_500, 9_000),
)
DISK_SHORT_MB: Final = 2_048
"""Enough free space; the limits below are for how much is missing to it."""
DISK_MISSING_MB: Final[Limits] = (
    LevelLimits(Level.ELEVATED, 0, -512),
    LevelLimits(Level.HIGH, 1_536, 1_280),
    LevelLimits(Level.CRITICAL, 1_948, 1_792),
)
DRAINED_BP: Final[Limits] = (LevelLimits(Level.HIGH, 8_000, 7_500), LevelLimits(Level.CRITICAL, 9_200, 9_000))
LAG_MS: Final[Limits] = (
    LevelLimits(Level.ELEVATED, 50, 30),
    LevelLimits(Level.HIGH, 250, 150),
    LevelLimits(Level.CRITICAL, 1_000, 500),
)
COSTS: Final = MappingProxyType({Level.NORMAL: 0, Level.ELEVATED: 10, Level.HIGH: 30, Level.CRITICAL: 60})
ALL_NORMAL: Final = MappingProxyType(dict.fromkeys(Part, Level.NORMAL))


class Vitals(Frozen):
    """The levels of all parts. ``score``: from 100 (all normal) down to 0."""

    levels: dict[Part, Level] = Field(default_factory=lambda: dict(ALL_NORMAL))

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
        """The input of the governor of intake. ``burn_bp``: share of the day's budget that is spent."""
        return Pressure(
            memory=self.levels[Part.MEMORY],
            cpu_pressed=self.levels[Part.PROCESSOR] >= Level.HIGH,
            on_battery=self.levels[Part.BATTERY] > Level.NORMAL,
            burn_bp=burn_bp,
        )


def level_of(value: int, before: Level, steps: Limits) -> Level:
    """The highest level that ``value`` enters, or that was reached before and is not left yet."""
    held = (s.level for s in steps if value > s.enter or (before >= s.level and value > s.leave))
    return max(held, default=Level.NORMAL)


def judge_levels(sample: Sample, before: Mapping[Part, Level] = ALL_NORMAL) -> Vitals:
    """The levels of a sample, given those of the sample before."""
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
    """Normal while the machine is plugged in, however low the charge."""
    if not sample.charge.draining:
        return Level.NORMAL
    return max(Level.ELEVATED, level_of(WHOLE_BP - sample.charge.left_bp, before, DRAINED_BP))


def describe_level(sample: Sample, part: Part) -> str:
    """The measured values of a part as text."""
    return {
        Part.MEMORY: f"{_percent(sample.memory_left_bp)} left, waited for in {_percent(sample.memory_stalled_bp)}"
        " of the last minute",
        Part.PROCESSOR: f"waited for in {_percent(sample.cpu_stalled_bp)} of the last minute",
        Part.DISK: "not known" if sample.disk_free_mb is None else f"{sample.disk_free_mb} MB free",
        Part.BATTERY: f"drains, {_percent(sample.charge.left_bp)} left" if sample.charge.draining else "not in use",
        Part.LOOP: f"{sample.lag_ms} ms late",
        Part.PROVIDER: sample.provider or "available",
    }[part]


def _percent(bp: int) -> str:
    return f"{bp // 100} %"
