"""The rule ladder as a table, and its monotony."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.risk.ladder import ChangeFacts, ComplexityFacts, assess, blast_score, complexity
from ledger.vocabulary import Complexity, Tier

ONE = ("shop/cart.py",)


@pytest.mark.parametrize(
    ("facts", "rule", "tier"),
    [
        ({"paths": (".env",), "protected": (".env",)}, 0, Tier.BLOCKED),
        ({"paths": ONE, "own_rooms": True}, 0, Tier.BLOCKED),
        ({"paths": ("shop/auth.py",)}, 1, Tier.APPROVAL_REQUIRED),
        ({"paths": ("pyproject.toml",)}, 1, Tier.APPROVAL_REQUIRED),
        ({"paths": (".github/workflows/ci.yml",)}, 1, Tier.APPROVAL_REQUIRED),
        *(
            ({"paths": (path,)}, 1, Tier.APPROVAL_REQUIRED)
            for path in (
                ".githooks/pre-commit",
                ".husky/pre-commit",
                ".github/actions/setup/action.yml",
                "Makefile",
                "sub/makefile",
                "requirements/dev.txt",
                "requirements-dev.in",
                "yarn.lock",
                "environment.yml",
            )
        ),
        ({"paths": ("docs/requirements.py",)}, 12, Tier.SAFE_AUTO),
        ({"paths": ONE, "security_lines": ("verify=False",)}, 1, Tier.APPROVAL_REQUIRED),
        ({"paths": ONE, "removed_api": ("total",)}, 2, Tier.APPROVAL_REQUIRED),
        ({"paths": ONE, "goal": "A breaking change of the cart"}, 2, Tier.APPROVAL_REQUIRED),
        ({"paths": ONE, "test_floor": Tier.APPROVAL_REQUIRED}, 3, Tier.APPROVAL_REQUIRED),
        ({"paths": ONE, "deleted": ONE}, 4, Tier.APPROVAL_REQUIRED),
        ({"paths": tuple(f"shop/m{n}.py" for n in range(9))}, 5, Tier.APPROVAL_REQUIRED),
        ({"paths": ONE, "changed_lines": 401}, 5, Tier.APPROVAL_REQUIRED),
        ({"paths": ("shop/migrations/0001.py",)}, 6, Tier.APPROVAL_REQUIRED),
        ({"paths": ("shop/api_pb2.py",)}, 6, Tier.APPROVAL_REQUIRED),
        ({"paths": ONE, "from_outside": True}, 7, Tier.NOTIFY_APPLY),
        ({"paths": ("tests/test_cart.py",), "touches_tests": True}, 8, Tier.NOTIFY_APPLY),
        ({"paths": ONE, "core_paths": ONE}, 9, Tier.NOTIFY_APPLY),
        ({"paths": ONE, "created": ONE}, 10, Tier.NOTIFY_APPLY),
        ({"paths": ("a.py", "b.py")}, 11, Tier.NOTIFY_APPLY),
        ({"paths": ONE}, 12, Tier.SAFE_AUTO),
        ({"paths": ("shop/author.py",)}, 12, Tier.SAFE_AUTO),
        ({"paths": ("shop/tokenizer.py",)}, 12, Tier.SAFE_AUTO),
    ],
)
def test_ladder(facts: dict[str, Any], rule: int, tier: Tier) -> None:
    found = assess(ChangeFacts(**facts))
    assert (found.rule, found.tier) == (rule, tier), found.reasons


@settings(deadline=None)
@given(st.lists(st.sampled_from(list(Tier))))
def test_floors_only_raise(floors: list[Tier]) -> None:
    bare = assess(ChangeFacts(paths=ONE))
    raised = assess(ChangeFacts(paths=ONE), floors=tuple((tier, "test") for tier in floors))
    assert raised.tier == max([bare.tier, *floors])


@pytest.mark.parametrize(
    ("targets", "goal", "dependents", "expected"),
    [
        (ONE, "short", 0, Complexity.TRIVIAL),
        (ONE, "x" * 80, 0, Complexity.SIMPLE),
        (ONE, "short", 1, Complexity.SIMPLE),
        ((), "short", 0, Complexity.SIMPLE),
        (("a.py", "b.py"), "short", 0, Complexity.MODERATE),
        (("a.py", "b.py", "c.py", "d.py"), "short", 0, Complexity.COMPLEX),
        (("a/x.py", "b/x.py", "c/x.py"), "short", 0, Complexity.COMPLEX),
        (tuple(f"m{n}.py" for n in range(9)), "short", 0, Complexity.ARCHITECTURAL),
    ],
)
def test_complexity(targets: tuple[str, ...], goal: str, dependents: int, expected: Complexity) -> None:
    assert complexity(ComplexityFacts(targets=targets, goal=goal, dependents=dependents)) is expected


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(0, 100))
def test_blast_grows_with_reach_and_with_missing_tests(dependents: int, uncovered: int) -> None:
    score = blast_score(dependents=dependents, uncovered=uncovered)
    assert 0 <= score <= 10_000
    assert score <= blast_score(dependents=dependents + 1, uncovered=uncovered + 1)
