"""Layers of L2 repair: kinds of trouble, which branch is gone on with, and the stops. Pure parts as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.conversation.repair_layers import (
    Branch,
    BranchTrouble,
    LayeredRepair,
    RepairStop,
    next_layer,
    rank_layer,
    resume_state,
    round_event,
)
from governance.conversation.tree import classify_failure
from governance.pipeline.dossier import Dossier
from governance.repair.proposal import Proposal
from ledger.events.repair import RepairRoundEnded
from ledger.vocabulary import Outcome, RunStatus, TestResult, TestRun
from tests.governance.ops import candidate, modify
from tools.testing.report.verdict import TIME_LIMIT


def run_of(status: RunStatus, *exceptions: str) -> TestRun:
    results = tuple(
        TestResult(id=f"t.py::t{at}", outcome=Outcome.FAILED, exception=name) for at, name in enumerate(exceptions)
    )
    return TestRun(status=status, results=results)


GREEN, AGAIN = TestRun(status=RunStatus.GREEN), run_of(RunStatus.RED, "AssertionError")


@pytest.mark.parametrize(
    ("run", "again", "trouble"),
    [
        (GREEN, None, BranchTrouble.NONE),
        (run_of(RunStatus.RED, "AssertionError"), AGAIN, BranchTrouble.TEST),
        (run_of(RunStatus.RED, "AssertionError"), GREEN, BranchTrouble.FLAKY),
        (run_of(RunStatus.RED, "AssertionError"), TestRun(status=RunStatus.INFRA), BranchTrouble.TEST),
        (run_of(RunStatus.RED, "TypeError", "NameError"), AGAIN, BranchTrouble.TYPE),
        (run_of(RunStatus.RED, "TypeError", "AssertionError"), AGAIN, BranchTrouble.TEST),
        (run_of(RunStatus.RED, "IndentationError"), AGAIN, BranchTrouble.SYNTAX),
        (run_of(RunStatus.RED, "ModuleNotFoundError", "AssertionError"), AGAIN, BranchTrouble.IMPORT),
        (run_of(RunStatus.RED, TIME_LIMIT, "AssertionError"), None, BranchTrouble.TIMEOUT),
        (TestRun(status=RunStatus.TIMEOUT), None, BranchTrouble.TIMEOUT),
        (TestRun(status=RunStatus.INCONCLUSIVE), None, BranchTrouble.ENVIRONMENT),
        (TestRun(status=RunStatus.INFRA), None, BranchTrouble.ENVIRONMENT),
    ],
)
def test_kinds_of_trouble(run: TestRun, again: TestRun | None, trouble: BranchTrouble) -> None:
    assert classify_failure(run, again) is trouble


def branch(text: str, trouble: BranchTrouble, *failing: str) -> Branch:
    """A branch whose patch is known by its text."""
    change = candidate(modify("a.py", b"x = 1\n", f"x = {text!r}\n".encode()))
    return Branch(
        dossier=Dossier(), proposal=Proposal(candidate=change, reason=text), text=text, trouble=trouble,
        measure=frozenset(failing), diff=f"+{text}",
    )  # fmt: skip


def test_what_repairs_comes_first_and_what_runs_no_test_last() -> None:
    two, one = branch("two", BranchTrouble.TEST, "a", "b"), branch("one", BranchTrouble.TYPE, "a")
    torn, unsteady = (
        branch("torn", BranchTrouble.SYNTAX, "file"),
        branch("unsteady", BranchTrouble.FLAKY, "a", "b", "c"),
    )
    good, slow = branch("good", BranchTrouble.NONE), branch("slow", BranchTrouble.TIMEOUT)
    assert rank_layer([slow, torn, two, one, unsteady, good]) == [good, unsteady, one, two, torn, slow]


@pytest.mark.parametrize(("branches", "kept"), [(1, 1), (2, 1), (3, 2), (4, 2)])
def test_the_worse_half_is_dropped_and_what_it_learned_is_not(branches: int, kept: int) -> None:
    layer = [branch(f"patch-{n}", BranchTrouble.TEST, *"abcd"[: n + 1]) for n in reversed(range(branches))]
    authors = next_layer(layer, branches)
    assert len(authors) == kept
    for place, author in enumerate(authors):
        *hints, own = author.feedback
        assert f"+patch-{place}" in own.text and own.rule == "repair.test"
        assert len(hints) == min(2, branches - 1) and all(h.rule == "repair.sibling" for h in hints)
        assert all(f"+patch-{place}" not in h.text for h in hints)
    if branches == 2:
        assert "+patch-1" in authors[0].feedback[0].text, "the one that was dropped is told of"


def after(*layers: list[Branch]) -> list[RepairStop | None]:
    course = LayeredRepair()
    return [course.after(layer) for layer in layers]


def test_each_stop() -> None:
    down = branch("x", BranchTrouble.ENVIRONMENT)
    assert after([down]) == [RepairStop.ENVIRONMENT]
    assert after([down, branch("y", BranchTrouble.TEST, "a")]) == [None]
    first, second = branch("1", BranchTrouble.TEST, "a"), branch("2", BranchTrouble.TEST, "b")
    assert after([first], [second], [first]) == [None, None, RepairStop.OSCILLATION]
    assert after([first, second], [first, branch("3", BranchTrouble.TEST, "c")]) == [None, None], "one of them is new"
    still = [[branch(str(n), BranchTrouble.TEST, "a")] for n in range(3)]
    assert after(*still) == [None, None, RepairStop.NO_PROGRESS]
    assert after(still[0], [second], still[1]) == [None, None, None]
    assert after([branch("none", BranchTrouble.SYNTAX)], [branch("none", BranchTrouble.SYNTAX)]) == [None, None], (
        "nothing was run"
    )


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=2), min_size=12, max_size=12))
def test_patches_that_come_again_never_go_on(measures: list[list[str]]) -> None:
    """Four patches, two tests: whatever fails, so many layers are never without a stop."""
    layers = [[branch(str(at % 4), BranchTrouble.TEST, *failing)] for at, failing in enumerate(measures)]
    assert any(after(*layers, *layers))


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc")), min_size=2, max_size=8), st.data())
def test_what_was_noted_of_a_layer_is_enough_to_go_on(tried: list[tuple[int, str]], data: st.DataObject) -> None:
    """Through JSON, as the record keeps it: the stops come where they would have come."""
    layers = [[branch(str(patch), BranchTrouble.TEST, failing)] for patch, failing in tried]
    killed = data.draw(st.integers(1, len(layers) - 1))
    first = LayeredRepair()
    before = [first.after(layer) for layer in layers[:killed]]
    kept = round_event("search", first, layers[killed - 1]).model_dump_json()
    course, dossier = resume_state(RepairRoundEnded.model_validate_json(kept), Dossier())
    assert course.rounds == killed and f"+{tried[killed - 1][0]}" in dossier.feedback[-1].text
    assert [*before, *map(course.after, layers[killed:])] == after(*layers)
