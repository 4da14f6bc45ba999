"""Ranking of suspicious lines."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.vocabulary import Frame, Outcome, RunStatus, TestResult, TestRun
from tools.testing.localisation.ranking import ochiai, rank


def run_of(
    outcomes: dict[str, Outcome],
    coverage: dict[str, dict[str, tuple[int, ...]]] | None = None,
    frames: tuple[Frame, ...] = (),
    detail: str = "",
) -> TestRun:
    results = tuple(
        TestResult(id=i, outcome=o, frames=frames if o.red else (), detail=detail if o.red else "")
        for i, o in outcomes.items()
    )
    return TestRun(status=RunStatus.RED, collected=tuple(outcomes), results=results, coverage=coverage or {})


F, P = Outcome.FAILED, Outcome.PASSED
COVERAGE = {
    "t::bad": {"shop/cart.py": (2, 3, 4), "tests/test_cart.py": (1,)},
    "t::good": {"shop/cart.py": (2, 5)},
    "t::fine": {"shop/cart.py": (2, 3)},
}


def test_lines_of_failing_tests_only_come_first() -> None:
    ranked = rank(run_of({"t::bad": F, "t::good": P, "t::fine": P}, COVERAGE), ["t::bad"])
    assert [(s.path, s.line) for s in ranked] == [("shop/cart.py", 4), ("shop/cart.py", 3), ("shop/cart.py", 2)]
    assert ranked[0].score_bp == 6_000
    assert ranked[1].score_bp == round(6_000 / math.sqrt(2))
    assert ranked[0].why == "run by 1 of 1 failing and 0 of 2 passing tests"


def test_a_package_for_testing_is_a_program_and_a_tests_py_is_none() -> None:
    coverage: dict[str, dict[str, tuple[int, ...]]] = {"t::bad": {"src/pkg/testing/x.py": (3,), "shop/tests.py": (1,)}}
    assert [s.path for s in rank(run_of({"t::bad": F}, coverage), ["t::bad"])] == ["src/pkg/testing/x.py"]


def test_it_works_when_every_test_fails() -> None:
    ranked = rank(run_of({"t::bad": F, "t::fine": F}, COVERAGE), ["t::bad", "t::fine"])
    assert [s.line for s in ranked] == [2, 3, 4]
    assert ranked[0].score_bp == 6_000


def test_traceback_and_recent_lines_weigh_in() -> None:
    frames = (
        Frame(path="tests/test_cart.py", line=1, function="test"),
        Frame(path="shop/cart.py", line=2, function="total"),
        Frame(path="shop/cart.py", line=3, function="off"),
    )
    run = run_of({"t::bad": F, "t::good": P, "t::fine": P}, COVERAGE, frames)
    ranked = rank(run, ["t::bad"], recent={"shop/cart.py": (2, 99)})
    by_line = {s.line: s for s in ranked}
    assert by_line[3].score_bp > by_line[4].score_bp and "in the traceback, in off()" in by_line[3].why
    assert "changed since" in by_line[2].why and 99 not in by_line


def test_without_coverage_the_traceback_decides() -> None:
    frames = (
        Frame(path="tests/test_cart.py", line=9, function="test"),
        Frame(path="shop/cart.py", line=7, function="total"),
        Frame(path="shop/money.py", line=3, function="cents"),
    )
    ranked = rank(run_of({"t": F}, None, frames), ["t"], recent={"shop/new.py": (5,)})
    assert [(s.path, s.line) for s in ranked] == [("shop/money.py", 3), ("shop/new.py", 5), ("shop/cart.py", 7)]


def test_then_the_functions_that_the_failure_names() -> None:
    files = {
        "shop/cart.py": b"def total(prices):\n    x = 1\n    return x\n\n\ndef other():\n    return 2\n",
        "tests/test_cart.py": b"def total(): pass\n",
    }
    frames = (Frame(path="tests/test_cart.py", line=2, function="test"),)
    ranked = rank(run_of({"t": F}, None, frames, detail="assert total([1]) == 2"), ["t"], files=files)
    assert [(s.path, s.line) for s in ranked] == [("shop/cart.py", 2), ("shop/cart.py", 3)]
    ranked = rank(run_of({"t": F}, None, frames, detail="assert nothing"), ["t"], files=files)
    assert [(s.path, s.line) for s in ranked] == [("tests/test_cart.py", 2)]


def test_a_constant_of_an_imported_module_is_suspect_but_less() -> None:
    files = {"shop/cart.py": b"RATE = 2\ndef total():\n    return RATE\n"}
    coverage = {"": {"shop/cart.py": (1, 2)}, "t": {"shop/cart.py": (3,)}}
    ranked = rank(run_of({"t": F}, coverage), ["t"], files=files)
    assert [(s.line, s.score_bp) for s in ranked] == [(3, 6_000), (1, 1_800)]
    assert [s.line for s in rank(run_of({"t": F}, coverage), ["t"])] == [3]


def test_nothing_known_gives_nothing() -> None:
    assert rank(run_of({"t": F}), ["t"]) == ()
    assert rank(run_of({"t": P}, {"t": {"a.py": (1,)}}), ["t"]) == ()


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 50))
@settings(deadline=None)
def test_ochiai_is_a_share_and_falls_with_every_passing_test(failed: int, passed: int, total: int) -> None:
    failed = min(failed, total)
    value = ochiai(failed, passed, total)
    assert 0.0 <= value <= 1.0
    assert ochiai(failed, passed + 1, total) <= value


lines = st.dictionaries(
    st.sampled_from(["a.py", "b.py", "tests/test_a.py"]),
    st.lists(st.integers(1, 9), max_size=5, unique=True).map(tuple),
    max_size=3,
)


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.booleans(), lines), min_size=1))
@settings(deadline=None, max_examples=60)
def test_scores_are_bounded_sorted_and_only_of_lines_that_failing_tests_ran(
    tests: dict[str, tuple[bool, dict[str, tuple[int, ...]]]],
) -> None:
    run = run_of({i: F if red else P for i, (red, _) in tests.items()}, {i: c for i, (_, c) in tests.items()})
    failing = [i for i, (red, _) in tests.items() if red]
    ranked = rank(run, failing)
    assert all(0 < s.score_bp <= 10_000 for s in ranked)
    assert [s.score_bp for s in ranked] == sorted((s.score_bp for s in ranked), reverse=True)
    ran = {(p, n) for i in failing for p, ns in tests[i][1].items() for n in ns}
    assert {(s.path, s.line) for s in ranked} <= ran
