"""Lessons: bounded, without infrastructure noise, dropped when they mislead."""

from __future__ import annotations

from governance.memory.lessons import KEPT, Lessons
from ledger.vocabulary import FailureClass, State
from tests.governance.ops import operation


def test_only_code_and_test_trouble_reaches_a_prompt() -> None:
    lessons = Lessons()
    lessons.learn(operation(), State.COMPLETE, FailureClass.NONE, ("a.py",))
    lessons.learn(operation(), State.POSTMORTEM, FailureClass.INFRA, ("a.py",))
    lessons.learn(operation(), State.POSTMORTEM, FailureClass.TEST, ("a.py",))
    assert [line.partition("]")[0] for line in lessons.for_prompt()] == ["[OK", "[FAIL:test"]


def test_the_buffer_is_bounded() -> None:
    lessons = Lessons()
    for _ in range(3 * KEPT):
        lessons.learn(operation(), State.COMPLETE, FailureClass.NONE, ())
    assert len(lessons.for_prompt()) == KEPT


def test_misleading_lessons_are_dropped() -> None:
    lessons = Lessons()
    lessons.learn(operation(), State.COMPLETE, FailureClass.NONE, ())
    for _ in range(10):
        lessons.learn(operation(), State.POSTMORTEM, FailureClass.CODE, ())
    assert lessons.for_prompt() == ()
