"""Lessons: bounded, without infrastructure noise, dropped when they mislead."""

from __future__ import annotations

from governance.memory.lessons import KEPT, Lessons
from ledger.vocabulary import FailureClass, OpOutcome
from tests.governance.ops import operation


def test_only_code_and_test_trouble_reaches_a_prompt() -> None:
    lessons = Lessons()
    lessons.learn(operation(), OpOutcome.COMPLETE, FailureClass.NONE, ("a.py",))
    lessons.learn(operation(), OpOutcome.POSTMORTEM, FailureClass.INFRA, ("a.py",))
    lessons.learn(operation(), OpOutcome.POSTMORTEM, FailureClass.TEST, ("a.py",))
    assert [line.partition("]")[0] for line in lessons.for_prompt()] == ["[OK", "[FAIL:test"]


def test_the_buffer_is_bounded() -> None:
    lessons = Lessons()
    for _ in range(3 * KEPT):
        lessons.learn(operation(), OpOutcome.COMPLETE, FailureClass.NONE, ())
    assert len(lessons.for_prompt()) == KEPT


def learned(lessons: Lessons, good: int, bad: int = 0, failure: FailureClass = FailureClass.CODE) -> None:
    for number in range(good + bad):
        end = (OpOutcome.COMPLETE, FailureClass.NONE) if number < good else (OpOutcome.POSTMORTEM, failure)
        lessons.learn(operation(), *end, ())


def test_misleading_lessons_are_dropped() -> None:
    lessons = Lessons()
    learned(lessons, 1, 9)
    assert len(lessons.for_prompt()) == 10, "ten have not yet ended since the first lesson"
    learned(lessons, 0, 1)
    assert lessons.for_prompt() == ()
    learned(lessons, 1, 9)  # these have been told nothing at first, and as little as before goes well
    assert len(lessons.for_prompt()) == 10


def test_lessons_that_help_are_kept_and_compared_with_what_was_before_the_first_of_them() -> None:
    """Half went well before them; nine of ten do at first, then six of ten: three quarters is still more than half."""
    lessons = Lessons()
    lessons.begin(49, 100)
    learned(lessons, 1)
    for good in (9, 6):
        learned(lessons, good, 10 - good)
        assert len(lessons.for_prompt()) > 10
    learned(lessons, 0, 10)  # now it is half: no worse
    assert lessons.for_prompt()
    learned(lessons, 0, 10)
    assert lessons.for_prompt() == ()


def test_noise_neither_counts_against_lessons_nor_pushes_them_out() -> None:
    lessons = Lessons()
    learned(lessons, 11)
    for _ in range(3 * KEPT):
        lessons.learn(operation(), OpOutcome.POSTMORTEM, FailureClass.INFRA, ())
        lessons.learn(operation(), OpOutcome.CANCELLED, FailureClass.USER, ())
        assert lessons.learn(operation(), OpOutcome.NOOP, FailureClass.NONE, ()) == ""
    learned(lessons, 9)
    assert lessons.for_prompt() == ("[OK] Make tests/test_cart.py::test_total pass. ()",) * KEPT


def test_a_collapse_counts_and_teaches_nothing() -> None:
    lessons = Lessons()
    lessons.begin(9, 10)
    learned(lessons, 1)
    learned(lessons, 0, 9, FailureClass.COLLAPSE)
    assert len(lessons.for_prompt()) == 1
    learned(lessons, 0, 1, FailureClass.COLLAPSE)
    assert lessons.for_prompt() == ()
