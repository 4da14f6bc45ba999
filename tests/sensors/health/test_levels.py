"""From numbers to levels, states and a score."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.health.levels import (
    ALL_NORMAL,
    CPU_STALLED_BP,
    DISK_MISSING_MB,
    DRAINED_BP,
    LAG_MS,
    MEMORY_STALLED_BP,
    USED_BP,
    Condition,
    Limits,
    Part,
    Vitals,
    describe_level,
    judge_levels,
    level_of,
)
from sensors.health.sample import Charge, Sample
from sensors.intake.pressure import Level

SCALES = (USED_BP, MEMORY_STALLED_BP, CPU_STALLED_BP, DISK_MISSING_MB, DRAINED_BP, LAG_MS)
scales, levels, values = st.sampled_from(SCALES), st.sampled_from(Level), st.integers(-1_000, 12_000)


@pytest.mark.parametrize(
    ("left", "stalled", "level"),
    [
        (5_000, 0, Level.NORMAL),
        (1_490, 0, Level.ELEVATED),
        (690, 0, Level.HIGH),
        (290, 0, Level.CRITICAL),
        (5_000, 1_100, Level.ELEVATED),
        (5_000, 4_100, Level.CRITICAL),
        (1_400, 2_100, Level.HIGH),
    ],
)
def test_memory_has_four_levels(left: int, stalled: int, level: Level) -> None:
    assert judge_levels(Sample(memory_left_bp=left, memory_stalled_bp=stalled)).levels[Part.MEMORY] is level


@pytest.mark.parametrize(
    ("sample", "part", "level"),
    [
        (Sample(disk_free_mb=2_048), Part.DISK, Level.NORMAL),
        (Sample(disk_free_mb=2_047), Part.DISK, Level.ELEVATED),
        (Sample(disk_free_mb=500), Part.DISK, Level.HIGH),
        (Sample(disk_free_mb=99), Part.DISK, Level.CRITICAL),
        (Sample(charge=Charge(False, 100)), Part.BATTERY, Level.NORMAL),
        (Sample(charge=Charge(True, 9_000)), Part.BATTERY, Level.ELEVATED),
        (Sample(charge=Charge(True, 1_900)), Part.BATTERY, Level.HIGH),
        (Sample(charge=Charge(True, 700)), Part.BATTERY, Level.CRITICAL),
        (Sample(lag_ms=51), Part.LOOP, Level.ELEVATED),
        (Sample(provider="no weights"), Part.PROVIDER, Level.HIGH),
        (Sample(cpu_stalled_bp=6_001), Part.PROCESSOR, Level.HIGH),
    ],
)
def test_each_part_has_its_own_limits(sample: Sample, part: Part, level: Level) -> None:
    vitals = judge_levels(sample)
    assert vitals.levels == {**ALL_NORMAL, part: level}
    assert vitals.condition is list(Condition)[level]
    assert (vitals.score == 100) is (level is Level.NORMAL)
    assert describe_level(sample, part)


def test_a_level_stays_until_its_number_is_well_below(tmp_path: object) -> None:
    course = [8_400, 8_600, 8_400, 8_201, 8_200, 8_400, 9_400, 9_100, 8_900, 9_800, 9_600, 0]
    found, level = [], Level.NORMAL
    for used in course:
        level = level_of(used, level, USED_BP)
        found.append(level.name[0])
    assert "".join(found) == "NEEENNHHECCN"


@given(scales, levels, values)
def test_a_level_that_stays_has_a_reason(steps: Limits, before: Level, value: int) -> None:
    now = level_of(value, before, steps)
    step = {step.level: step for step in steps}.get(now)
    assert step is None or value > step.enter or (before >= now and value > step.leave)
    assert now >= level_of(value, Level.NORMAL, steps)  # what was before never hides what is
    assert level_of(value, now, steps) is now  # the same number again changes nothing


@given(scales, levels, values, values)
def test_a_worse_number_is_never_a_lower_level(steps: Limits, before: Level, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert level_of(low, before, steps) <= level_of(high, before, steps)


@given(scales, st.integers(0, 400))
def test_what_trembles_around_a_limit_does_not_flap(steps: Limits, swing: int) -> None:
    step = steps[0]
    down = step.enter - min(swing, step.enter - step.leave - 1)
    level, changes = Level.NORMAL, 0
    for value in (step.enter + 1, down) * 10:
        now = level_of(value, level, steps)
        changes += now is not level
        level = now
    assert changes == 1


@given(st.dictionaries(st.sampled_from(Part), levels), st.sampled_from(Part))
def test_a_worse_part_never_scores_better(some: dict[Part, Level], part: Part) -> None:
    vitals = Vitals(levels={**ALL_NORMAL, **some})
    worse = Vitals(levels={**vitals.levels, part: Level.CRITICAL})
    assert 0 <= worse.score <= vitals.score <= 100
    assert list(Condition).index(worse.condition) >= list(Condition).index(vitals.condition)
    assert (vitals.condition is Condition.HEALTHY) == (vitals.score == 100)
