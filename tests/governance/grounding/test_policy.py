"""The grounding policy: what is asked of a change only grows as the ground gets worse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from governance.grounding.policy import (
    ALARM_MILLI,
    EVEN_BP,
    Grounding,
    PolicyInputs,
    PolicySettings,
    grounding,
    proximity_of,
)
from kernel.canary import load_levels
from kernel.provider import Report
from ledger.vocabulary import Complexity, Tier

TIERS, SIZES = st.sampled_from(Tier), st.sampled_from(Complexity)
TRUSTS, NEARS = st.integers(0, 10_000), st.integers(0, 1_000)
STRICTER = st.builds(
    PolicySettings,
    alarm_milli=st.integers(500, ALARM_MILLI),
    regroundings=st.integers(0, 2),
    more_sources=st.integers(0, 8),
    least_trust_bp=st.integers(2_000, 10_000),
)
ANY = st.builds(lambda settings, policy: settings.model_copy(update={"policy": policy}), STRICTER, st.booleans())


@given(TIERS, SIZES, TRUSTS, NEARS, NEARS, ANY)
def test_closer_to_a_collapse_nothing_gets_easier(
    risk: Tier, size: Complexity, trust: int, one: int, other: int, settings: PolicySettings
) -> None:
    calm, near = (grounding(risk, size, trust, at, settings) for at in sorted((one, other)))
    assert near.min_sources >= calm.min_sources
    assert near.budget_scale_milli <= calm.budget_scale_milli
    assert near.deep >= calm.deep
    assert near.act <= calm.act


@given(TIERS, SIZES, TRUSTS, TRUSTS, NEARS, ANY)
def test_less_trust_never_makes_it_easier(
    risk: Tier, size: Complexity, one: int, other: int, near: int, settings: PolicySettings
) -> None:
    less, more = (grounding(risk, size, trust, near, settings) for trust in sorted((one, other)))
    assert less.min_sources >= more.min_sources
    assert (less.deep, less.act) == (less.deep or more.deep, less.act and more.act)


@given(TIERS, SIZES, TRUSTS, NEARS, STRICTER)
def test_an_owner_only_tightens(risk: Tier, size: Complexity, trust: int, near: int, settings: PolicySettings) -> None:
    plain, own = grounding(risk, size, trust, near), grounding(risk, size, trust, near, settings)
    assert own.min_sources >= plain.min_sources
    assert own.budget_scale_milli <= plain.budget_scale_milli
    assert own.act <= plain.act


@given(TIERS, SIZES, TRUSTS, ANY, st.integers(0, 500))
def test_from_the_alarm_level_on_nobody_acts(
    risk: Tier, size: Complexity, trust: int, settings: PolicySettings, over: int
) -> None:
    near = min(settings.alarm_milli + over, 1_000)
    found = grounding(risk, size, trust, near, settings)
    assert (found.act, found.budget_scale_milli) == (False, 0)
    assert not PolicyInputs(risk=risk, complexity=size, trust_bp=trust, settings=settings).is_usable(near)


@given(TIERS, SIZES, TRUSTS, NEARS, STRICTER)
def test_without_the_policy_only_a_collapse_counts(
    risk: Tier, size: Complexity, trust: int, near: int, settings: PolicySettings
) -> None:
    found = grounding(risk, size, trust, near, settings.model_copy(update={"policy": False}))
    is_answer = near < settings.alarm_milli
    assert found == Grounding(min_sources=0, deep=False, budget_scale_milli=1_000 * is_answer, act=is_answer)


@pytest.mark.parametrize(
    ("risk", "size", "trust", "near", "sources", "scale", "act"),
    [
        (Tier.SAFE_AUTO, Complexity.TRIVIAL, EVEN_BP, 0, 1, 1_000, True),
        (Tier.NOTIFY_APPLY, Complexity.TRIVIAL, EVEN_BP, 0, 2, 1_000, True),
        (Tier.SAFE_AUTO, Complexity.SIMPLE, EVEN_BP, 499, 2, 1_000, True),
        (Tier.SAFE_AUTO, Complexity.SIMPLE, EVEN_BP, 690, 3, 625, True),
        (Tier.SAFE_AUTO, Complexity.SIMPLE, EVEN_BP, 879, 4, 252, True),
        (Tier.SAFE_AUTO, Complexity.SIMPLE, EVEN_BP, 880, 5, 0, False),
        (Tier.SAFE_AUTO, Complexity.ARCHITECTURAL, 2_400, 0, 6, 1_000, True),
        (Tier.SAFE_AUTO, Complexity.SIMPLE, 1_999, 0, 4, 1_000, False),
        (Tier.NOTIFY_APPLY, Complexity.SIMPLE, 1_999, 0, 4, 1_000, True),
        (Tier.APPROVAL_REQUIRED, Complexity.SIMPLE, 0, 0, 4, 1_000, True),
    ],
)
def test_the_table(
    risk: Tier, size: Complexity, trust: int, near: int, sources: int, scale: int, act: bool
) -> None:  # fmt: skip
    found = grounding(risk, size, trust, near)
    assert (found.min_sources, found.budget_scale_milli, found.act) == (sources, scale, act)


@pytest.mark.parametrize(
    "looser", [{"alarm_milli": 900}, {"regroundings": 3}, {"more_sources": -1}, {"least_trust_bp": 1_000}]
)
def test_a_looser_setting_is_refused(looser: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        PolicySettings.model_validate(looser)


def test_a_peak_that_did_not_last_is_no_alarm() -> None:
    assert proximity_of(None) == 0
    assert proximity_of(Report(proximity_milli=990)) == ALARM_MILLI - 1
    assert proximity_of(Report(proximity_milli=990, alarm=True)) == 990
    assert proximity_of(Report(proximity_milli=10, alarm=True)) == ALARM_MILLI


def test_the_alarm_level_is_the_canarys_own() -> None:
    assert int(1000 * load_levels("default").alarm) == ALARM_MILLI
