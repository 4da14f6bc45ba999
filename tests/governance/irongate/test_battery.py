"""All gates on a candidate: what never lands, and that a plain repair does."""

from __future__ import annotations

import pytest

from governance.irongate.candidate_gates import decide, inspect
from governance.irongate.inspection import ContainmentFacts, Inspection
from governance.irongate.op.g19_recursion import change_hash, diff_hash
from governance.irongate.registry import CANDIDATE_GATES
from ledger.vocabulary import Complexity, Decision, Edit, EditKind, Tier, Verdict
from tests.governance.irongate.builders import candidate, edit, inspection, operation, signal

CALC = "def add(a, b):\n    return a - b\n\n\ndef mul(a, b):\n    return a * b\n"
FIXED = CALC.replace("a - b", "a + b")
TEST = "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
SECRET = "gh" + "p_" + "a1B2" * 9


def denied_by(made: Inspection) -> set[str]:
    return {verdict.rule for verdict in inspect(made) if verdict.decision is not Decision.ALLOW}


def test_a_plain_repair_passes_every_gate_in_order() -> None:
    verdicts = inspect(inspection({"calc.py": (CALC, FIXED)}))
    assert decide(verdicts) == (Decision.ALLOW, Tier.SAFE_AUTO)
    numbers = [verdict.gate for verdict in verdicts]
    assert numbers == [gate.number for gate in CANDIDATE_GATES]
    assert numbers[:12] == [1, 2, 4, 5, 6, 13, 14, 15, 16, 17, 19, 20]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"../calc.py": (CALC, FIXED)}, "gate01.dots"),
        ({".git/hooks/pre-commit": (None, "x\n")}, "gate01.git"),
        ({".env": (None, "A=1\n")}, "gate02.built_in"),
        ({"calc.py": (CALC, FIXED.replace("add", "аdd"))}, "gate05.confusable"),
        ({"calc.py": (CALC, FIXED + "# ... rest of the file ...\n")}, "gate13.elided"),
        ({"calc.py": (CALC, "def add(a, b):\n")}, "gate13.shrink"),
        ({"calc.py": (CALC, "# adds\n" + CALC)}, "gate14.noop"),
        ({"calc.py": (CALC, FIXED + f"KEY = '{SECRET}'\n")}, "gate15.secret"),
        ({"tests/test_calc.py": (TEST, TEST.replace("== 3", "== -1"))}, "gate16.failing_test_weakened"),
        ({"tests/test_calc.py": (TEST, None)}, "gate16.failing_test_weakened"),
    ],
)
def test_what_never_lands(changes: dict[str, tuple[str | None, str | None]], rule: str) -> None:
    assert rule in denied_by(inspection(changes))


def test_reading_exploring_planning() -> None:
    assert denied_by(inspection({"calc.py": (CALC, FIXED)}, read=False)) == {"gate04.unread"}
    assert denied_by(inspection({"calc.py": (CALC, FIXED)}, complexity=Complexity.SIMPLE)) == {"gate04.floor"}
    assert denied_by(inspection({"calc.py": (CALC, FIXED)}, plan=("calc.py", "b.py"))) == {"gate06.left_out"}
    assert denied_by(inspection({"calc.py": (CALC, FIXED)}, plan=())) == {"gate06.outside_plan"}


def test_recursion_and_what_was_undone() -> None:
    made = inspection({"calc.py": (CALC, FIXED)}, op=operation(signal(depth=3)))
    assert denied_by(made) == {"gate19.depth"}
    undone = (diff_hash(made.candidate),)
    assert denied_by(inspection({"calc.py": (CALC, FIXED)}, undone=undone)) == {"gate19.undone"}


@pytest.mark.parametrize(
    ("before", "after", "known"),
    [
        (CALC, FIXED, True),
        ("X = 1\n\n" + CALC, "X = 1\n\n" + FIXED, True),  # the owner changed another part of the file since
        (CALC, CALC.replace("a - b", "(a + b)  # repaired"), True),  # the same program
        (
            CALC,
            CALC.replace("    return a - b", "    return a + b\n    return a - b"),
            True,
        ),  # what stood there is dead
        (CALC, CALC.replace("a - b", "b + a"), False),
        (CALC.replace("add", "plus"), FIXED.replace("add", "plus"), False),  # another function
    ],
)
def test_what_was_undone_is_known_wherever_it_stands(before: str, after: str, known: bool) -> None:
    first = inspection({"calc.py": (CALC, FIXED)})
    undone = (change_hash(first.candidate, first.originals),)
    assert denied_by(inspection({"calc.py": (before, after)}, undone=undone)) == ({"gate19.undone"} if known else set())


def test_links_found_on_disk_count() -> None:
    made = inspection({"calc.py": (CALC, FIXED)})
    found = made.model_copy(update={"located": (ContainmentFacts(path="calc.py", links=("calc.py",)),)})
    assert denied_by(found) == {"gate01.link"}


def test_a_link_or_an_odd_mode_is_refused() -> None:
    assert denied_by(inspection({"calc.py": (CALC, FIXED)}, mode=0o120000)) == {"gate01.mode"}


def test_an_edit_must_be_what_it_says() -> None:
    made = inspection({"calc.py": (CALC, FIXED)})
    other = made.model_copy(update={"originals": {"calc.py": b"something else\n"}})
    assert "gate01.before" in denied_by(other)
    assert "gate01.before" in denied_by(made.model_copy(update={"originals": {}}))
    hidden = Edit(path="calc.py", kind=EditKind.MODIFY, before=made.candidate.edits[0].before, after=None)
    assert "gate01.kind" in denied_by(made.model_copy(update={"candidate": candidate(hidden)}))
    twice = candidate(made.candidate.edits[0], edit("calc.py", CALC, CALC))
    assert "gate01.twice" in denied_by(made.model_copy(update={"candidate": twice}))


def test_a_deletion_and_a_new_test_raise_the_tier() -> None:
    assert decide(inspect(inspection({"old.py": (CALC, None)})))[1] is Tier.APPROVAL_REQUIRED
    both = {"calc.py": (CALC, FIXED), "tests/test_new.py": (None, TEST)}
    assert decide(inspect(inspection(both))) == (Decision.ALLOW, Tier.APPROVAL_REQUIRED)


def test_comments_may_be_asked_for_by_a_person() -> None:
    op = operation(signal(goal="Explain add in a comment.", ids=()))
    assert denied_by(inspection({"calc.py": (CALC, "# adds\n" + CALC)}, op=op)) == set()


def test_nothing_judged_is_nothing_allowed() -> None:
    assert decide(()) == (Decision.DENY, Tier.SAFE_AUTO)


def test_worst_decision_and_highest_floor() -> None:
    rows = [
        Verdict(gate=1, rule="a", floor=Tier.APPROVAL_REQUIRED),
        Verdict(gate=2, rule="b", decision=Decision.REPAIR, floor=Tier.NOTIFY_APPLY),
    ]
    assert decide(rows) == (Decision.REPAIR, Tier.APPROVAL_REQUIRED)


def test_the_hash_of_a_change_is_about_what_files_become() -> None:
    one, two = edit("a.py", "x\n", "y\n"), edit("b.py", None, "z\n", rationale="why")
    assert diff_hash(candidate(one, two)) == diff_hash(candidate(two.model_copy(update={"rationale": ""}), one))
    assert diff_hash(candidate(one)) != diff_hash(candidate(edit("a.py", "x\n", "yy\n")))
    assert diff_hash(candidate(one)) != diff_hash(candidate(edit("c.py", "x\n", "y\n")))
