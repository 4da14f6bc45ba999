from __future__ import annotations

import pytest

from ledger.clock import ManualClock
from ledger.errors import ControlError
from ledger.vocabulary import OwnerConfirms, Source, TestsPass, Urgency
from sensors.requests.manual import manual_signal
from tests.sensors.signals import START

CLOCK = ManualClock(START)


def test_a_goal_without_a_check_needs_the_owners_yes() -> None:
    made = manual_signal("  Rename\n the helper ", files=("./a.py", "a.py", "b/c.py"), base="c0", clock=CLOCK)
    assert made.goal == "Rename the helper"
    assert made.targets == ("a.py", "b/c.py")
    assert made.closure == OwnerConfirms(question="Is this done: Rename the helper")
    assert (made.source, made.urgency, made.base) == (Source.MANUAL, Urgency.CRITICAL, "c0")


def test_named_tests_are_the_check() -> None:
    made = manual_signal("Fix it", closed_when=("tests/test_a.py::test_b", "tests/test_c.py"), base="c0", clock=CLOCK)
    assert made.closure == TestsPass(ids=("tests/test_a.py::test_b", "tests/test_c.py"))


def test_the_same_submission_has_the_same_key() -> None:
    def key(goal: str, *files: str, closed_when: tuple[str, ...] = ()) -> str:
        return manual_signal(goal, files=files, closed_when=closed_when, base="c0", clock=CLOCK).key

    assert key("Fix it", "a.py", "b.py") == key("Fix  it", "b.py", "./a.py")
    assert len({key("Fix it"), key("Fix it", "a.py"), key("Fix that"), key("Fix it", closed_when=("t.py::a",))}) == 4


@pytest.mark.parametrize(
    ("goal", "files", "closed_when", "words"),
    [
        ("", (), (), "cannot be taken"),
        ("x" * 3000, (), (), "cannot be taken"),
        ("Fix", ("/etc/passwd",), (), "not a path inside"),
        ("Fix", ("../a.py",), (), "not a path inside"),
        ("Fix", (), ("whenever",), "'whenever' is no test id"),
        ("Fix", (), ("owner", "t.py::a"), "'owner' is no test id"),
    ],
)
def test_what_cannot_be_taken(goal: str, files: tuple[str, ...], closed_when: tuple[str, ...], words: str) -> None:
    with pytest.raises(ControlError, match=words):
        manual_signal(goal, files=files, closed_when=closed_when, base="c0", clock=CLOCK)
