from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.clock import stamp, unstamp
from ledger.errors import ControlError
from sensors.intake.posture import CurrentPosture, Inferred, Posture, Signs, chosen_posture, infer, settle
from tests.sensors.signals import START

BYPASS = 7_500


@pytest.mark.parametrize(
    ("signs", "posture", "sure"),
    [
        (Signs(), Posture.MAINTAIN, True),
        (Signs(critical_waiting=2), Posture.HARDEN, True),
        (Signs(reflex_waiting=1), Posture.MAINTAIN, False),
        (Signs(reflex_waiting=2, dead=1), Posture.HARDEN, False),
        (Signs(completed_day=1, failed_day=9), Posture.HARDEN, False),
        (Signs(completed_day=0, failed_day=4), Posture.MAINTAIN, True),  # four ended ops are no rate
        (Signs(unmerged=3, parked=2), Posture.CONSOLIDATE, True),
        (Signs(unmerged=1, rejected_day=1), Posture.CONSOLIDATE, False),
        (Signs(idle_s=3_600), Posture.EXPLORE, True),
        (Signs(idle_s=7_200, other_waiting=1), Posture.MAINTAIN, True),
        (Signs(idle_s=7_200, burn_bp=6_000), Posture.MAINTAIN, True),
        (Signs(idle_s=600), Posture.MAINTAIN, False),
    ],
)
def test_what_follows_from_the_signs(signs: Signs, posture: Posture, sure: bool) -> None:
    found = infer(signs)
    assert (found.posture, found.confidence_bp >= BYPASS) == (posture, sure), found


counts = st.integers(0, 40)
some_signs = st.builds(
    Signs, critical_waiting=counts, reflex_waiting=counts, other_waiting=counts, parked=counts, unmerged=counts,
    dead=counts, quarantined=counts, completed_day=counts, failed_day=counts, rejected_day=counts,
    idle_s=st.integers(0, 100_000), burn_bp=st.integers(0, 20_000),
)  # fmt: skip


@given(some_signs)
def test_there_is_always_one_posture_and_nothing_is_explored_while_something_presses(signs: Signs) -> None:
    found = infer(signs)
    assert 5_000 <= found.confidence_bp <= 10_000
    if signs.critical_waiting or signs.reflex_waiting or signs.parked or signs.burn_bp > 5_000:
        assert found.posture is not Posture.EXPLORE


def inferred(posture: Posture, confidence_bp: int = 5_000) -> Inferred:
    return Inferred(posture=posture, confidence_bp=confidence_bp, why="test")


def after(standing: CurrentPosture, found: Inferred, seconds: float) -> CurrentPosture:
    return settle(
        standing, found, now=START + timedelta(seconds=seconds), hysteresis_s=900, bypass_bp=BYPASS
    )  # fmt: skip


def test_an_inferred_posture_stays_for_a_quarter_of_an_hour_unless_the_next_is_sure() -> None:
    first = after(CurrentPosture(), inferred(Posture.HARDEN), 0)
    assert (first.posture, first.since) == (Posture.HARDEN, stamp(START))
    assert after(first, inferred(Posture.MAINTAIN, 7_499), 899) == first
    assert after(first, inferred(Posture.MAINTAIN), 900).posture is Posture.MAINTAIN
    assert after(first, inferred(Posture.MAINTAIN, BYPASS), 1).posture is Posture.MAINTAIN
    assert after(first, inferred(Posture.HARDEN, 9_000), 1_000).since == stamp(START)  # the same: it goes on


def test_the_owners_word_stands_until_its_hour() -> None:
    word = chosen_posture(Posture.EXPLORE, hours=2, why="a free evening", now=START)
    assert unstamp(word.until or "") == START + timedelta(hours=2)
    assert after(word, inferred(Posture.HARDEN, 10_000), 7_199) == word
    ended = after(word, inferred(Posture.HARDEN), 7_200)
    assert (ended.posture, ended.by, ended.until) == (Posture.HARDEN, "inferred", None)


@pytest.mark.parametrize("hours", [0, -1, 24.01, 1e9, float("nan")])
def test_no_word_of_the_owner_stands_for_more_than_a_day(hours: float) -> None:
    assert chosen_posture(Posture.HARDEN, hours=24, why="", now=START).by == "owner"
    with pytest.raises(ControlError, match="at most 24 hours"):
        chosen_posture(Posture.HARDEN, hours=hours, why="", now=START)
