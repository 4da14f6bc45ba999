"""Reputation and prophecy: pure, bounded, and only ever more careful."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.memory.history import PastOp
from governance.memory.prophecy import MOST_CONFIDENT, Level, floors, foretell, level_of, risk_of
from governance.memory.reputation import HALF_LIFE, TIME_TO_LIVE, WHOLE, Reputation, reputations, weight
from ledger.vocabulary import Tier
from tests.governance.memory.pasts import NOW, past

CART = "shop/cart.py"
pasts = st.lists(
    st.builds(
        past, st.integers(0, 99), good=st.booleans(), hours=st.floats(0, 200), back=st.booleans(),
        files=st.sets(st.sampled_from([CART, "shop/tax.py", "shop/till.py"]), min_size=1).map(tuple),
    ),
    max_size=12,
)  # fmt: skip


def of(found: list[PastOp], path: str = CART) -> Reputation:
    (reputation,) = reputations(found, (path,), NOW)
    return reputation


def test_half_as_much_after_the_half_life_and_nothing_in_the_end() -> None:
    assert weight(timedelta(0)) == WHOLE and weight(HALF_LIFE) == WHOLE // 2
    assert weight(TIME_TO_LIVE) == 0 and weight(TIME_TO_LIVE - timedelta(hours=1)) > 0
    assert weight(timedelta(hours=-3)) == WHOLE


def test_what_nothing_is_known_of_is_trusted() -> None:
    assert (of([]).success_bp, of([]).fragility_bp, of([]).outcomes) == (WHOLE, 0, 0)
    assert foretell(reputations([], (CART,), NOW), 0).steps == 0


def test_what_is_changed_with_it_in_vain() -> None:
    found = [past(1, good=False, files=(CART, "shop/tax.py")), past(2, good=False, files=(CART, "shop/tax.py", "a.py"))]
    assert of(found).fails_with == ("shop/tax.py", "a.py")


@pytest.mark.parametrize(
    "found, dependents, level, steps",
    [
        ([past(1, good=True)], 0, Level.LOW, 0),
        ([past(1, good=False)], 0, Level.MEDIUM, 0),
        ([past(n, good=False) for n in range(3)], 0, Level.MEDIUM, 1),  # always fails, nobody depends on it
        ([past(1, good=False, back=True)], 0, Level.HIGH, 1),
        ([past(n, good=False, back=True) for n in range(3)], 0, Level.HIGH, 2),
        ([past(n, good=False, back=True) for n in range(3)], 20, Level.CRITICAL, 2),
        ([past(n, good=False, back=True, hours=170) for n in range(3)], 20, Level.MEDIUM, 0),
        ([past(1, good=False, back=True, hours=150), *(past(n, good=True) for n in range(2, 5))], 0, Level.LOW, 0),
    ],
)
def test_what_is_foretold(found: list[PastOp], dependents: int, level: Level, steps: int) -> None:
    prophecy = foretell(reputations(found, (CART,), NOW), dependents)
    assert (prophecy.level, prophecy.steps) == (level, steps), prophecy
    assert len(prophecy.reasons) == steps and all(CART in reason for reason in prophecy.reasons)


def test_what_failed_together_is_named() -> None:
    found = [past(n, good=False, files=(CART, "shop/tax.py")) for n in range(3)]
    (reason,) = foretell(reputations(found, (CART,), NOW), 0).reasons
    assert reason == f"memory: of 3 changes of {CART} lately, none went well; in vain together with shop/tax.py"


@pytest.mark.parametrize("risk, level", [(2_999, 0), (3_000, 1), (5_999, 1), (6_000, 2), (7_999, 2), (8_000, 3)])
def test_levels(risk: int, level: int) -> None:
    assert level_of(risk) == level


@given(pasts, st.integers(-1, 99), st.sampled_from([t for t in Tier if t is not Tier.BLOCKED]))
def test_a_tier_never_falls_and_nobody_is_blocked(found: list[PastOp], dependents: int, tier: Tier) -> None:
    known = reputations(found, (CART, "shop/tax.py"), NOW)
    prophecy = foretell(known, dependents)
    assert 1_000 <= prophecy.risk_bp <= 9_000 and prophecy.confidence_bp <= MOST_CONFIDENT
    assert all(tier <= floor <= Tier.APPROVAL_REQUIRED for floor, _ in floors(prophecy, tier))
    assert foretell(known, dependents) == prophecy


@given(pasts, st.floats(0, 100), st.integers(0, 30))
def test_one_more_failure_is_never_less_risk_and_one_more_success_never_more(
    found: list[PastOp], hours: float, dependents: int
) -> None:
    before = risk_of(of(found), dependents)
    assert risk_of(of([*found, past(100, good=False, back=True, hours=hours)]), dependents) >= before
    assert risk_of(of([*found, past(100, good=True, hours=hours)]), dependents) <= before


@given(pasts, st.permutations(range(12)))
def test_the_order_of_outcomes_does_not_matter(found: list[PastOp], order: list[int]) -> None:
    mixed = [found[at] for at in order if at < len(found)]
    assert of(mixed).model_copy(update={"fails_with": ()}) == of(found).model_copy(update={"fails_with": ()})
