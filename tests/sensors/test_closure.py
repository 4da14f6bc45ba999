from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest

from ledger.vocabulary import (
    Check,
    Closure,
    FileCheck,
    Outcome,
    OwnerConfirms,
    RunStatus,
    SidesAgree,
    TestResult,
    TestRun,
    TestsPass,
    TreeCheck,
)
from sensors.closure import READERS, SURVEYED, ClosureEvaluator
from tests.sensors.trees import Held


def run_of(status: RunStatus, **outcomes: Outcome) -> TestRun:
    results = tuple(TestResult(id=name, outcome=outcome) for name, outcome in outcomes.items())
    return TestRun(status=status, reason="because", results=results)


GREEN, RED = RunStatus.GREEN, RunStatus.RED


@pytest.mark.parametrize(
    ("run", "closed", "words"),
    [
        (run_of(GREEN, a=Outcome.PASSED, b=Outcome.PASSED), True, "2/2 named tests pass"),
        (run_of(GREEN, a=Outcome.PASSED, b=Outcome.XPASSED), True, "2/2"),
        (run_of(RED, a=Outcome.PASSED, b=Outcome.PASSED, c=Outcome.FAILED), True, "2/2"),
        (run_of(RED, a=Outcome.PASSED, b=Outcome.FAILED), False, "b is failed"),
        (run_of(RED, a=Outcome.ERROR, b=Outcome.FAILED), False, "a is error and 1 more"),
        (run_of(GREEN, a=Outcome.PASSED), False, "b was not run"),
        (run_of(GREEN, a=Outcome.PASSED, b=Outcome.SKIPPED), False, "b is skipped"),
        (run_of(GREEN, a=Outcome.PASSED, b=Outcome.XFAILED), False, "b is xfailed"),
        (run_of(RunStatus.INCONCLUSIVE, a=Outcome.PASSED, b=Outcome.PASSED), False, "no answer"),
        (run_of(RunStatus.TIMEOUT), False, "timeout"),
        (run_of(RunStatus.INFRA), False, "infra"),
    ],
)
async def test_tests_pass(run: TestRun, closed: bool, words: str) -> None:
    asked: list[Sequence[str]] = []

    async def door(ids: Sequence[str]) -> TestRun:
        asked.append(ids)
        return run

    answer = await ClosureEvaluator().is_closed(TestsPass(ids=("a", "b")), Held(run=door))
    assert (answer.closed, words in answer.reason) == (closed, True), answer
    assert asked == [("a", "b")]


FILE = {"t.py::a": Outcome.PASSED, "u.py::c": Outcome.FAILED}


@pytest.mark.parametrize(
    ("outcomes", "closed", "words"),
    [
        (FILE, True, "t.py is collected and 1 of its tests pass"),
        ({**FILE, "t.py::b": Outcome.SKIPPED}, True, "1 of its tests"),
        ({**FILE, "t.py::b": Outcome.FAILED}, False, "t.py can be collected, but t.py::b is failed"),
        ({"t.py::a": Outcome.SKIPPED}, False, "none of its tests passes"),
        ({**FILE, "t.py": Outcome.ERROR}, False, "t.py is error"),
        ({"u.py::c": Outcome.PASSED, "t.pyx::d": Outcome.PASSED}, False, "t.py was not run"),
    ],
)
async def test_a_file_is_closed_by_its_tests(outcomes: dict[str, Outcome], closed: bool, words: str) -> None:
    async def door(ids: Sequence[str]) -> TestRun:
        return run_of(RED, **outcomes)

    answer = await ClosureEvaluator().is_closed(TestsPass(ids=("t.py",)), Held(run=door))
    assert (answer.closed, words in answer.reason) == (closed, True), answer


async def test_a_check_without_tests_is_never_closed() -> None:
    assert not (await ClosureEvaluator().is_closed(TestsPass(ids=()), Held())).closed


def test_every_kind_about_files_has_what_answers_it() -> None:
    union = get_args(get_args(Closure)[0])
    assert set(READERS) == {kind for kind in union if issubclass(kind, FileCheck)}
    asked_elsewhere = {SidesAgree}  # of another repository
    assert {*READERS, *SURVEYED, *asked_elsewhere} == {kind for kind in union if issubclass(kind, TreeCheck)}
    assert all(issubclass(kind, Check) for kind in union)


async def test_only_the_owner_can_confirm() -> None:
    closure = OwnerConfirms(question="Is it nice?")
    answer = await ClosureEvaluator().is_closed(closure, Held())
    assert not answer.closed and "Is it nice?" in answer.reason
    assert (await ClosureEvaluator().is_closed(closure, Held(), confirmed=True)).closed
