"""A name without a value: where the line may be missing that gives it one."""

from __future__ import annotations

import pytest

from governance.repair.moves import Complaint
from governance.repair.search_plan import MOST, Wave, assignments, plan, unbound_names
from governance.repair.spans import ParsedFile
from tools.testing.localisation.ranking import Suspicion

TEXT = """def f(a, b):
    if a:
        c = 1
    else:
        d = 2
    e = 3
    return c

def g():
    h = 1
"""
UNBOUND = "cannot access local variable 'c' where it is not associated with a value"


def places(*lines: int) -> list[Suspicion]:
    return [Suspicion(path="a.py", line=line, score_bp=9_000 - line, why="") for line in lines]


@pytest.mark.parametrize(
    ("exception", "message", "names"),
    [
        ("UnboundLocalError", UNBOUND, {"c"}),
        ("UnboundLocalError", "local variable 'c' referenced before assignment", {"c"}),
        ("NameError", "name 'c' is not defined. Did you mean: 'cc'?", {"c"}),
        ("AssertionError", UNBOUND, set()),
        ("NameError", "no", set()),
    ],
)
def test_names_without_a_value(exception: str, message: str, names: set[str]) -> None:
    assert unbound_names([Complaint(exception, message)]) == names


def test_the_line_may_be_missing_before_the_use_or_behind_what_ran() -> None:
    source = ParsedFile(TEXT)
    found = assignments(places(7, 2, 5, 6, 10), {"a.py": source}, frozenset("c"))
    filled = [span.fill(TEXT, "c = 9") for path, span in found if path == "a.py"]
    assert filled[0] == TEXT.replace("    return c", "    c = 9\n    return c")
    assert filled[1] == TEXT.replace("    e = 3\n", "    e = 3\n    c = 9\n")
    assert filled[2] == TEXT.replace("        d = 2\n", "        d = 2\n        c = 9\n")
    assert len(filled) == 4  # and at the head of the branch; nothing in another function
    assert assignments(places(2, 5, 6), {"a.py": source}, frozenset("c")) == []
    many = ParsedFile("def f():\n" + "    x = 1\n" * 30 + "    return c\n")
    assert len(assignments(places(*range(2, 33)), {"a.py": many}, frozenset("c"))) == MOST


def test_they_are_asked_for_behind_the_first_moves() -> None:
    source = {"a.py": ParsedFile(TEXT)}
    steps = list(
        plan(places(7, 5, 2), source, first=4, batch=8, complaints=[Complaint("UnboundLocalError", UNBOUND)])
    )  # fmt: skip
    assert [step.name for step in steps[:4]] == ["moves", "assignments", "moves", "lines"]
    assert isinstance(steps[1], Wave) and steps[1].others == 3 and len(steps[1].spans) == 3
    assert "assignments" not in [step.name for step in plan(places(7, 5, 2), source, first=4, batch=8)]
