from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from ledger.vocabulary import (
    Check,
    FileCheck,
    Outcome,
    OwnerConfirms,
    RunStatus,
    TestResult,
    TestRun,
    TestsPass,
    TreeCheck,
)
from sensors.closure_checks import ClosurePorts
from sensors.registry import SPECS, closure_evaluator
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

    answer = await closure_evaluator().is_closed(TestsPass(ids=("a", "b")), Held(run=door))
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

    answer = await closure_evaluator().is_closed(TestsPass(ids=("t.py",)), Held(run=door))
    assert (answer.closed, words in answer.reason) == (closed, True), answer


async def test_a_check_without_tests_is_never_closed() -> None:
    assert not (await closure_evaluator().is_closed(TestsPass(ids=()), Held())).closed


def kinds(base: type[Check]) -> Iterator[type[Check]]:
    """The kinds of checks below a base class that the product defines."""
    for kind in base.__subclasses__():
        if isinstance(kind.model_fields["kind"].default, str) and kind.__module__.startswith(("ledger.", "sensors.")):
            yield kind
        yield from kinds(kind)


def test_every_kind_is_answered_by_one_sensor_or_by_the_evaluator_itself() -> None:
    answered = [kind for spec in SPECS for kind in spec.load().closure_checks(spec.settings(), ClosurePorts())]
    assert len(answered) == len(set(answered))
    assert {*answered, TestsPass, OwnerConfirms} == set(kinds(Check))
    assert set(kinds(FileCheck)) <= set(answered) and set(kinds(TreeCheck)) <= set(answered)


async def test_only_the_owner_can_confirm() -> None:
    closure = OwnerConfirms(question="Is it nice?")
    answer = await closure_evaluator().is_closed(closure, Held())
    assert not answer.closed and "Is it nice?" in answer.reason
    assert (await closure_evaluator().is_closed(closure, Held(), confirmed=True)).closed
