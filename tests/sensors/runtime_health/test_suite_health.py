"""What the record of test runs says of a suite that has stopped answering."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events.sensing import SuiteRun
from ledger.vocabulary import Entry, Outcome, RunStatus, SuiteAnswers, TestResult, TestRun
from sensors.runtime_health.suite_health import (
    PastRun,
    answering,
    find_untouched,
    last_at,
    list_named,
    past_of,
    suite_answer,
    suspects,
)

GREEN, RED, TIMEOUT, INFRA = RunStatus.GREEN, RunStatus.RED, RunStatus.TIMEOUT, RunStatus.INFRA


def run_entry(seq: int, run: SuiteRun) -> tuple[Entry, SuiteRun]:
    return Entry(**run.draft().model_dump(), seq=seq, at="", prev="", hash=""), run


def test_only_whole_runs_of_the_suite_count() -> None:
    whole = SuiteRun(commit="c", asked=None, status=TIMEOUT, reason="r", collected=3)
    found = past_of([run_entry(3, whole), run_entry(2, whole.model_copy(update={"asked": 4}))])
    assert found == (PastRun(commit="c", status=TIMEOUT, reason="r", collected=3, seq=3),)


def test_the_newest_run_of_a_commit_decides() -> None:
    newest_first = [
        PastRun(commit="a", status=TIMEOUT, seq=4), PastRun(commit="b", status=RED, collected=1, seq=3),
        PastRun(commit="a", status=GREEN, collected=1, seq=2), PastRun(commit="c", status=GREEN, seq=1),
    ]  # fmt: skip
    assert last_at("a", newest_first) == newest_first[0] and last_at("z", newest_first) is None
    assert answering(newest_first) == {"b"}


def run_of(outcomes: dict[str, Outcome], status: RunStatus = GREEN) -> TestRun:
    results = tuple(TestResult(id=test, outcome=outcome) for test, outcome in outcomes.items())
    return TestRun(status=status, results=results, collected=tuple(outcomes))


def test_tests_of_files_that_changed_are_no_witnesses() -> None:
    run = run_of({"a.py::x": Outcome.PASSED, "b.py::x": Outcome.PASSED, "a.py::y": Outcome.SKIPPED})
    assert find_untouched(run, {"b.py", "src.py"}) == ("a.py::x",)


ids = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40)), max_size=120, unique=True)


@given(ids, st.data())
def test_what_is_named_comes_from_every_file_and_first_from_what_did_not_end(
    rows: list[tuple[str, int]], data: st.DataObject
) -> None:
    tests = [f"{name}.py::t{number}" for name, number in rows]
    ended = data.draw(st.sets(st.sampled_from(tests))) if tests else set()
    named = list_named(tests, ended)
    assert set(named) <= set(tests) and len(named) == min(50, len(tests)) == len(set(named))
    open_ = [test for test in tests if test not in ended]
    if len(open_) <= 50:
        assert set(open_) <= set(named)
    else:
        assert not ended & set(named) and {t[0] for t in named} == {t[0] for t in open_}


def test_settings_of_the_suite_are_suspected_first_then_code() -> None:
    changed = ["README.md", "shop/cart.py", "tests/test_a.py", "a/conftest.py", "pyproject.toml", "z.py"]
    assert suspects(changed) == ("a/conftest.py", "pyproject.toml", "shop/cart.py", "z.py")


CHECK = SuiteAnswers(ids=("a.py::x",), least=2)


@pytest.mark.parametrize(
    ("outcomes", "status", "closed", "words"),
    [
        ({"a.py::x": Outcome.PASSED, "b.py::y": Outcome.PASSED}, GREEN, True, "2 tests pass"),
        ({"a.py::x": Outcome.PASSED, "b.py::y": Outcome.PASSED, "c.py::z": Outcome.FAILED}, RED, True, "2 tests pass"),
        ({"a.py::x": Outcome.PASSED}, GREEN, False, "1 tests pass, where 2 did before"),
        ({"a.py::x": Outcome.SKIPPED, "b.py::y": Outcome.PASSED, "c.py::z": Outcome.PASSED}, GREEN, False, "skipped"),
        ({"b.py::y": Outcome.PASSED, "c.py::z": Outcome.PASSED}, GREEN, False, "was not run"),
        ({"a.py::x": Outcome.PASSED, "b.py::y": Outcome.PASSED}, TIMEOUT, False, "gave no answer"),
        ({}, INFRA, False, "gave no answer"),
    ],
)
def test_when_it_answers_again(outcomes: dict[str, Outcome], status: RunStatus, closed: bool, words: str) -> None:
    answer = suite_answer(CHECK, run_of(outcomes, status))
    assert (answer.closed, answer.gone, words in answer.reason) == (closed, False, True), answer.reason
