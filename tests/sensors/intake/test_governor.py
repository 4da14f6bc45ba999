"""The rules, as tables: no queue and no clock but the one that is handed in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.clock import stamp
from ledger.sources import SOURCES, SourceFacts
from ledger.vocabulary import OpOutcome, RootCause, Source, SourceClass, State, Urgency
from sensors.intake.governing import replay_ruling, ruling_inputs
from sensors.intake.governor import (
    FREE,
    GovernorSettings,
    Lane,
    Situation,
    brake,
    cap,
    decide,
)
from sensors.intake.history import HOUR, Begun, Tally, tally
from sensors.intake.posture import Posture
from sensors.intake.pressure import Level, Pressure
from tests.sensors.signals import START

TESTS = Source("test_failure")
LANE = Lane(TESTS, Urgency.HIGH, again=False, owners=False)
SETTINGS = GovernorSettings()


def begun(
    number: int, *, minutes_ago: float = 1, again: bool = False, outcome: State | None = None,
    cause: RootCause = RootCause.NONE,
) -> list[Begun]:  # fmt: skip
    at = stamp(START - timedelta(minutes=minutes_ago))
    return [
        Begun(op_id=f"op-{n}", source=TESTS, at=at, again=again, outcome=outcome, cause=cause) for n in range(number)
    ]


def situation(
    ops: list[Begun] | None = None, *, posture: Posture = Posture.MAINTAIN, active: int = 0,
    settings: GovernorSettings = SETTINGS, **around: object,
) -> Situation:  # fmt: skip
    counted, surroundings = tally(ops or [], START), Pressure.model_validate(around)
    return Situation(counted, posture, surroundings, brake(counted, surroundings, settings), active)


def rule(lane: Lane = LANE, settings: GovernorSettings = SETTINGS, **more: object) -> str:
    return decide(lane, situation(settings=settings, **more), settings).rule  # type: ignore[arg-type]


def test_a_cap_is_base_times_posture_times_urgency() -> None:
    assert cap(TESTS, Urgency.NORMAL, Posture.MAINTAIN, False, SETTINGS) == 100
    assert cap(TESTS, Urgency.HIGH, Posture.MAINTAIN, False, SETTINGS) == 120
    assert cap(TESTS, Urgency.CRITICAL, Posture.HARDEN, False, SETTINGS) == 225
    assert cap(TESTS, Urgency.HIGH, Posture.MAINTAIN, True, SETTINGS) == 24  # the brake leaves 20 %
    assert (
        cap(TESTS, Urgency.LOW, Posture.MAINTAIN, True, GovernorSettings(reflex_per_hour=1)) == 1
    )  # never by rounding


def test_a_source_stops_at_its_cap_and_an_urgent_signal_of_it_later() -> None:
    assert rule(ops=begun(119, outcome=OpOutcome.NOOP)) == ""
    full = begun(120, outcome=OpOutcome.NOOP)
    assert rule(ops=full) == "governor.source"
    assert rule(LANE._replace(urgency=Urgency.CRITICAL), ops=full) == ""


def test_an_hour_has_a_limit_for_all_and_even_for_the_owner() -> None:
    owner = LANE._replace(owners=True)
    assert rule(owner, ops=begun(199, outcome=OpOutcome.NOOP)) == ""
    assert rule(owner, ops=begun(200, outcome=OpOutcome.NOOP)) == "governor.hour"
    assert rule(owner, ops=begun(200, outcome=OpOutcome.NOOP, minutes_ago=60)) == ""
    held = decide(owner, situation(begun(200, minutes_ago=15)), SETTINGS)
    assert held.until == START + timedelta(minutes=45)


def test_the_brake_is_pulled_by_failures_and_by_money_and_not_for_the_owner() -> None:
    failed = begun(24, outcome=OpOutcome.POSTMORTEM, cause=RootCause.TESTS_FAILED)
    found = decide(LANE, situation(failed), SETTINGS)
    assert found.rule == "governor.source" and "emergency brake: 24 of the last 24 ops failed" in found.reason
    killed = begun(24, outcome=OpOutcome.POSTMORTEM, cause=RootCause.CRASH_RECOVERED)
    assert rule(ops=killed) == ""  # that we were killed is no failure of the repair
    assert rule(ops=begun(24, outcome=OpOutcome.COMPLETE)) == ""
    assert rule(ops=begun(24, outcome=OpOutcome.COMPLETE), burn_bp=9_001) == "governor.source"
    assert rule(ops=begun(24, outcome=OpOutcome.COMPLETE), burn_bp=9_000) == ""
    assert rule(LANE._replace(owners=True), ops=failed, burn_bp=10_000) == ""
    many = GovernorSettings(reflex_per_hour=1_000)
    assert rule(settings=many, ops=begun(40, outcome=OpOutcome.NOOP), burn_bp=9_999) == "governor.brake"


@pytest.mark.parametrize(("ended", "failed", "on"), [(4, 4, False), (5, 3, False), (5, 4, True), (10, 6, False)])
def test_a_few_failures_or_just_the_limit_do_not_pull_it(ended: int, failed: int, on: bool) -> None:
    assert brake(Tally(ended=ended, failed=failed), Pressure(), SETTINGS).on is on


def test_changes_are_limited_and_what_runs_counts_as_one_to_come() -> None:
    assert rule(ops=begun(40, outcome=OpOutcome.COMPLETE)) == "governor.changes"
    assert rule(ops=begun(40)) == "governor.changes"
    assert rule(ops=begun(39, outcome=OpOutcome.COMPLETE)) == ""
    assert rule(ops=begun(100, outcome=OpOutcome.NOOP)) == ""


def test_what_was_tried_before_takes_half_of_a_cap_so_that_new_ones_are_not_starved() -> None:
    stuck = begun(60, again=True, outcome=OpOutcome.NOOP)
    assert rule(LANE._replace(again=True), ops=stuck) == "governor.again"
    assert rule(LANE._replace(again=True), ops=stuck[:59]) == ""
    assert rule(ops=stuck) == ""


@pytest.mark.parametrize(
    ("level", "active", "held"),
    [
        (Level.NORMAL, 9, False),
        (Level.ELEVATED, 1, False),
        (Level.ELEVATED, 2, True),
        (Level.HIGH, 0, False),
        (Level.HIGH, 1, True),
        (Level.CRITICAL, 1, True),
        (Level.CRITICAL, 0, False),
    ],
)
def test_memory_limits_parallel_work(level: Level, active: int, held: bool) -> None:
    assert (rule(memory=level, active=active) == "governor.memory") is held


def test_a_posture_that_leaves_a_source_nothing_says_so() -> None:
    assert rule(settings=GovernorSettings(reflex_per_hour=0)) == "governor.posture"


def test_exploration_waits_under_any_pressure_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rule(on_battery=True, cpu_pressed=True) == ""
    facts = SourceFacts(routed_as=SourceClass.BACKGROUND, rank=7, urgency=Urgency.LOW)
    monkeypatch.setattr("sensors.intake.governor.SOURCES", {TESTS: facts})
    assert rule() == ""
    for pressed in ({"on_battery": True}, {"cpu_pressed": True}, {"memory": Level.ELEVATED}):
        assert rule(**pressed) == "governor.pressure"
        assert rule(LANE._replace(owners=True), **pressed) == ""


sources, urgencies = st.sampled_from(sorted(SOURCES)), st.sampled_from(Urgency)
lanes = st.builds(Lane, sources, urgencies, st.booleans(), st.booleans())
surroundings = st.builds(
    Pressure, memory=st.sampled_from(Level), cpu_pressed=st.booleans(), on_battery=st.booleans(),
    burn_bp=st.integers(0, 20_000),
)  # fmt: skip
ops = st.lists(
    st.builds(
        Begun,
        op_id=st.uuids().map(str),
        source=sources,
        at=st.integers(0, 7_200).map(lambda s: stamp(START - timedelta(seconds=s))),
        again=st.booleans(),
        outcome=st.sampled_from([None, OpOutcome.COMPLETE, OpOutcome.NOOP, OpOutcome.POSTMORTEM]),
    ),
    max_size=40,
)
tight = st.builds(
    GovernorSettings, ops_per_hour=st.integers(1, 30), reflex_per_hour=st.integers(0, 20),
    changes_per_hour=st.integers(1, 20), changes_per_source=st.integers(1, 20),
)  # fmt: skip


@given(lanes, ops, surroundings, st.sampled_from(Posture), st.integers(0, 4), tight)
def test_pressure_and_the_brake_only_ever_hold_back_and_a_ruling_can_be_made_again(
    lane: Lane, had: list[Begun], around: Pressure, posture: Posture, active: int, settings: GovernorSettings
) -> None:
    counted = tally(had, START)
    now = Situation(counted, posture, around, brake(counted, around, settings), active)
    found = decide(lane, now, settings)
    assert replay_ruling(ruling_inputs(lane, now, found, settings).payload["inputs"]) == found.rule
    assert bool(found.reason) is not found.free
    if found.free:
        calm = now._replace(surroundings=Pressure(), brake=now.brake._replace(on=False))
        assert decide(lane, calm, settings) == FREE
        assert counted.ops < settings.ops_per_hour
    if found.until is not None:
        assert START < found.until <= START + HOUR
