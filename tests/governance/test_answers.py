"""Reading JSON out of prose, and checking plans."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.conversation.answers import parse_answer
from governance.phases.plan import PlanAnswer, find_incoherence
from governance.pipeline.dossier import PlannedChange


def test_the_last_fitting_object_counts() -> None:
    text = 'Thinking {not json} {"approach": "first"}\n```json\n{"approach": "second", "risk_factors": ["x"]}\n```'
    answer, problem = parse_answer(text, PlanAnswer)
    assert answer is not None
    assert answer.approach == "second"
    assert problem == ""


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_an_answer_or_a_reason(text: str) -> None:
    answer, problem = parse_answer(text, PlanAnswer)
    assert (answer is None) == bool(problem)


def test_incoherent_plans() -> None:
    known = {"a.py", "pkg/b.py"}
    assert "outside" in find_incoherence([PlannedChange(path="../x.py", what="w")], known)
    assert "does not exist" in find_incoherence([PlannedChange(path="other/x.py", what="w")], known)
    cycle = [
        PlannedChange(path="a.py", what="w", after=("pkg/b.py",)),
        PlannedChange(path="pkg/b.py", what="w", after=("a.py",)),
    ]
    assert "cycle" in find_incoherence(cycle, known)
    assert find_incoherence([PlannedChange(path="pkg/new.py", what="w", after=("a.py",))], known) == ""


def test_an_object_without_a_bottom_is_none() -> None:
    assert parse_answer('{"a":' * 50_000, PlanAnswer)[0] is None
