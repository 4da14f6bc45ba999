from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.vocabulary import SIGNAL_LIMIT_BYTES, Frame, Outcome, Signal, TestResult, TestsPass, Urgency
from sensors.failing_tests import (
    ID_BUDGET,
    LONGEST_ID,
    Cause,
    by_cause,
    cause_of,
    cut,
    list_test_ids,
    weight,
)
from sensors.test_failure.signals import goal_of, key_of, signals_of


def red(
    test: str = "tests/test_a.py::test_a", *paths: str, exception: str = "ValueError", message: str = ""
) -> TestResult:
    frames = tuple(Frame(path=path, line=1, function="f") for path in paths)
    return TestResult(id=test, outcome=Outcome.FAILED, exception=exception, message=message, frames=frames)


def signals(*results: TestResult, passing_before: tuple[str, ...] = ()) -> tuple[Signal, ...]:
    return signals_of(
        results, base="c1", snapshot=None, passing_before=passing_before, depth=0, seen_at="", redact=lambda text: text
    )


@pytest.mark.parametrize(
    ("result", "file"),
    [
        (red("tests/test_a.py::test_a", "tests/test_a.py", "src/a.py", "src/deep.py"), "src/deep.py"),
        (red("tests/test_a.py::test_a", "tests/test_a.py"), "tests/test_a.py"),
        (red("tests/test_a.py::TestA::test_a[1/2]"), "tests/test_a.py"),
        (red("tests/test_a.py"), "tests/test_a.py"),
        (red("tests/test_a.py::test_a", "src/a.py", "/usr/lib/x.py"), "src/a.py"),
        (red("tests/test_a.py::test_a", "src/a.py", "../other/x.py"), "src/a.py"),
    ],
)
def test_the_deepest_frame_inside_the_repository(result: TestResult, file: str) -> None:
    assert cause_of(result) == Cause(file, "ValueError")


def test_causes_are_told_apart_by_file_and_by_exception() -> None:
    groups = by_cause([red("b", "x.py"), red("a", "x.py"), red("c", "y.py"), red("d", "x.py", exception="KeyError")])
    assert {cause: [r.id for r in results] for cause, results in groups.items()} == {
        Cause("x.py", "KeyError"): ["d"],
        Cause("x.py", "ValueError"): ["a", "b"],
        Cause("y.py", "ValueError"): ["c"],
    }


def test_at_most_fifty_tests_are_named() -> None:
    (found,) = signals(*(red(f"t.py::test_{n:03}", "x.py") for n in range(200)))
    assert isinstance(found.closure, TestsPass)
    assert found.closure.ids == tuple(f"t.py::test_{n:03}" for n in range(50))


def test_the_key_does_not_depend_on_order_but_on_ids_type_and_file() -> None:
    cause = Cause("x.py", "ValueError")
    assert key_of(("a", "b"), cause) == key_of(("b", "a"), cause)
    others = [key_of(("a",), cause), key_of(("a", "b"), Cause("y.py", "ValueError")), key_of(("ab",), cause)]
    assert len({key_of(("a", "b"), cause), *others}) == 4


@pytest.mark.parametrize(
    ("ids", "exception", "message", "goal"),
    [
        (
            ("t.py::a",),
            "AssertionError",
            "assert 1 == 2",
            "Make t.py::a pass (AssertionError: assert 1 == 2, in x.py).",
        ),
        (("t.py::a",), "KeyError", "KeyError: 'k'\nmore", "Make t.py::a pass (KeyError: 'k', in x.py)."),
        (("t.py::a", "t.py::b"), "E", "", "Make t.py::a and 1 more pass (E, in x.py)."),
        (("t.py::a",), "", "", "Make t.py::a pass (it is red, in x.py)."),
    ],
)
def test_the_goal_is_one_sentence(ids: tuple[str, ...], exception: str, message: str, goal: str) -> None:
    assert goal_of(ids, Cause("x.py", exception), message) == goal


def test_critical_only_when_all_of_its_tests_were_green_before() -> None:
    results = (red("a", "x.py"), red("b", "x.py"))
    assert signals(*results, passing_before=("a", "b", "c"))[0].urgency is Urgency.CRITICAL
    assert signals(*results, passing_before=("a",))[0].urgency is Urgency.HIGH


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.builds(
            red,
            st.text(min_size=1, max_size=3000).filter(lambda s: bool(s.strip())),
            st.text(max_size=300),
            exception=st.text(max_size=300),
            message=st.text(max_size=5000),
        ),
        max_size=80,
    )
)
def test_whatever_the_tests_say_the_signals_are_valid_and_bounded(results: list[TestResult]) -> None:
    for found in signals(*results):
        assert len(found.model_dump_json().encode()) <= SIGNAL_LIMIT_BYTES
        assert isinstance(found.closure, TestsPass) and 1 <= len(found.closure.ids) <= 50


@pytest.mark.parametrize("letter", ["x", "\x01", '"', "\u20ac", "\U0001f480"])
def test_no_letter_makes_a_signal_too_large(letter: str) -> None:
    """A signal that cannot be made would end the sensor, and with it what the daemon is for."""
    long = letter * 20_000
    tests = [f"tests/test_{n}.py::test[{long[: 1_200 if n < 30 else n * 300]}]" for n in range(60)]
    for paths in ((), (f"src/{long[:4_000]}.py",), ("src/a.py",)):
        (found,) = (
            signals(*(red(test, *paths, exception=long, message=long) for test in tests))
            if paths
            else signals(red(tests[-1], exception=long, message=long))
        )
        assert len(found.model_dump_json().encode()) <= SIGNAL_LIMIT_BYTES
        assert isinstance(found.closure, TestsPass) and len(found.goal) <= 2_000
        assert all(test in tests or test == test.partition("::")[0] for test in found.closure.ids)


@given(st.text(max_size=400), st.integers(3, 300))
def test_a_cut_is_the_longest_beginning_that_fits(text: str, most: int) -> None:
    found = cut(text, most)
    assert weight(found) <= most
    if found != text:
        kept = found.removesuffix("...")
        assert text.startswith(kept) and weight(text[: len(kept) + 1]) > most - 3


@given(st.lists(st.text(min_size=1, max_size=2000), min_size=1, max_size=60))
@settings(deadline=None, max_examples=30)
def test_named_ids_are_bounded_in_length(ids: list[str]) -> None:
    found = list_test_ids([red(test) for test in ids])
    told = {test if weight(test) <= LONGEST_ID else test.partition("::")[0] for test in ids}
    assert found and list(found) == sorted(told)[: len(found)]
    assert sum(map(weight, found[1:])) <= ID_BUDGET
