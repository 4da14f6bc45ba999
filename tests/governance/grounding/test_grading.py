"""What an op's own entries say of its claims."""

from __future__ import annotations

from typing import Any

import pytest

from governance.grounding.grading import OpEnd, grade_at_end, grade_taken_back
from governance.pipeline.dossier import WAITED_RULE
from ledger.events.event import CLASSES, LedgerEvent
from ledger.events.grounding import About, ClaimOutcome, Graded, grades_in
from ledger.vocabulary import Entry, EntryKind, FailureClass, OpOutcome, Phase, RootCause, State
from tests.governance.grounding.histories import grades_of, record

HIT, MISS, VOID = ClaimOutcome.HIT, ClaimOutcome.MISS, ClaimOutcome.VOID
DONE = OpEnd(state=OpOutcome.COMPLETE, origin=Phase.VERIFY)


class Told:
    """Entries of one op, as they would be written."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, kind: EntryKind, event: str, phase: State | None = Phase.GENERATE, **payload: Any) -> int:
        return self._append(CLASSES[kind, event](**payload), phase)

    def _append(self, event: LedgerEvent, phase: State | None) -> int:
        seq = 10 + len(self.entries)
        draft = event.draft(op_id="op-1")
        self.entries.append(Entry(**{**draft.model_dump(), "phase": phase}, seq=seq, at="", prev="", hash=""))
        return seq

    def claims(self, about: About, claim: str = "", phase: State = Phase.GENERATE) -> int:
        made = record(about).model_copy(update={"claim": claim})
        return self._append(made, phase)

    def replies(self, purpose: str, problem: str = "", phase: State = Phase.GENERATE) -> int:
        self.add(EntryKind.CALL, "call.ended", phase, purpose=purpose, problem=problem)
        return self.claims(About.REPLY, purpose, phase)

    def goes(self, origin: Phase, to: Phase, reason: str = "", *, rule: str = "") -> None:
        self.add(EntryKind.TRANSITION, "phase.entered", to, origin=origin, to=to, reason=reason, rule=rule)

    def tested(self, wave: str, *, green: int = 0, partial: int = 0) -> None:
        self.add(EntryKind.RUN, "candidates.tested", wave=wave, green=green, partial=partial)

    def ended(self, end: OpEnd = DONE) -> dict[int, ClaimOutcome]:
        grades, self.beyond = grade_at_end(self.entries, end)
        assert all(grade.was is None for grade in grades)
        self.entries.append(
            Entry(**grades_of(grades).model_dump(), seq=10 + len(self.entries), at="", prev="", hash="")
        )  # fmt: skip
        return {grade.record: grade.outcome for grade in grades}


def ends(state: State, failure: FailureClass = FailureClass.NONE, cause: RootCause = RootCause.NONE) -> OpEnd:
    return OpEnd(state=state, origin=Phase.GENERATE, cause=cause, failure=failure)


@pytest.mark.parametrize(
    ("end", "of_condition", "of_change"),
    [
        (DONE, HIT, HIT),
        (ends(OpOutcome.NOOP), MISS, VOID),
        (OpEnd(state=OpOutcome.NOOP, origin=Phase.VERIFY), VOID, VOID),  # a dry run
        (ends(OpOutcome.CANCELLED, FailureClass.USER, RootCause.APPROVAL_REJECTED), MISS, MISS),
        (ends(OpOutcome.CANCELLED, FailureClass.USER, RootCause.APPROVAL_EXPIRED), VOID, VOID),
        (ends(OpOutcome.CANCELLED, FailureClass.USER, RootCause.CANCELLED_BY_OWNER), VOID, VOID),
        (ends(OpOutcome.POSTMORTEM, FailureClass.TEST, RootCause.TESTS_FAILED), VOID, MISS),
        (ends(OpOutcome.POSTMORTEM, FailureClass.COLLAPSE, RootCause.COLLAPSE), VOID, MISS),
        (ends(OpOutcome.POSTMORTEM, FailureClass.INFRA, RootCause.TIMEOUT), VOID, VOID),
        (ends(OpOutcome.BLOCKED, FailureClass.POLICY, RootCause.BLOCKED_PATH), VOID, MISS),
        (ends(OpOutcome.FAILED_PERMANENT, FailureClass.INTERNAL, RootCause.INTERNAL), VOID, VOID),
    ],
)  # fmt: skip
def test_the_end_of_an_op_grades_what_is_open(end: OpEnd, of_condition: ClaimOutcome, of_change: ClaimOutcome) -> None:
    told = Told()
    seen, plan, change = told.claims(About.CONDITION), told.replies("plan", phase=Phase.PLAN), told.claims(About.CHANGE)
    assert told.ended(end) == {seen: of_condition, plan: of_change, change: of_change}
    assert told.ended(end) == {}, "once"


def test_a_wave_is_graded_by_the_tests_that_follow_it() -> None:
    told = Told()
    first = told.replies("infill: lines")
    told.tested("lines")
    nothing_new = told.replies("diverge: lines")
    told.add(EntryKind.TOOL, "infilled", wave="lines", distinct=0)
    second = told.replies("infill: lines")
    told.tested("moves", green=5)  # what nobody was asked for
    told.tested("lines")
    third = told.replies("diverge: lines")
    told.tested("lines", partial=1)
    untested = told.replies("infill: blocks")
    assert told.ended() == {first: MISS, nothing_new: VOID, second: MISS, third: HIT, untested: VOID}


def test_what_validate_sends_back_was_not_it_and_what_follows_may_be() -> None:
    told = Told()
    told.goes(Phase.PLAN, Phase.GENERATE)
    said, offered = told.replies("generate"), told.claims(About.CHANGE)
    told.goes(Phase.GENERATE, Phase.VALIDATE)
    told.goes(Phase.VALIDATE, Phase.GENERATE, "1 test fails (validate.tests)")
    again, better = told.replies("generate"), told.claims(About.CHANGE)
    assert told.ended() == {said: MISS, offered: MISS, again: HIT, better: HIT}


@pytest.mark.parametrize(
    ("origin", "to", "rule"),
    [
        (Phase.GENERATE, Phase.GENERATE, WAITED_RULE),
        (Phase.APPLY, Phase.PLAN, "gate11.target_changed"),
        (Phase.GATE, Phase.GENERATE, "gate.thin"),
    ],
)
def test_what_something_else_was_in_the_way_of_is_void(origin: Phase, to: Phase, rule: str) -> None:
    told = Told()
    offered = told.claims(About.CHANGE)
    told.goes(origin, to, rule=rule)
    assert told.ended() == {offered: VOID}


def test_words_of_a_refusal_do_not_excuse_an_answer() -> None:
    told = Told()
    offered = told.claims(About.CHANGE)
    told.goes(Phase.VALIDATE, Phase.GENERATE, "KeyError: 'another option' (validate.tests)")
    again = told.claims(About.CHANGE)
    told.goes(Phase.GENERATE, Phase.GENERATE, f"{WAITED_RULE}? Says who (generate.edits)", rule="generate.edits")
    assert told.ended() == {offered: MISS, again: MISS}


def test_an_answer_that_looks_something_up_is_graded_by_what_it_finds() -> None:
    told = Told()
    finds, finds_nothing = told.replies("generate"), 0
    for found in (False, True, False):
        told.add(EntryKind.TOOL, "tool.called", tool="search_code", ok=True, found=found)
    finds_nothing = told.replies("generate")
    told.add(EntryKind.TOOL, "tool.called", tool="search_code", ok=True, found=False)
    reads = told.replies("generate")
    told.add(EntryKind.TOOL, "tool.called", tool="search_code", ok=True, found=None)
    assert told.ended() == {finds: HIT, finds_nothing: MISS, reads: HIT}


def test_calls_that_fail_are_misses_and_those_that_were_cut_off_say_nothing() -> None:
    told = Told()
    collapsed, cut = told.replies("generate", "collapsed"), told.replies("generate", "cancelled")
    assert told.ended() == {collapsed: MISS, cut: VOID}


def test_script_and_model_choose_context_and_plan() -> None:
    told = Told()
    names = told.replies("expansion", phase=Phase.CONTEXT_EXPANSION)
    told.add(EntryKind.DECISION, "context.expanded", Phase.CONTEXT_EXPANSION, files=[])
    plan = told.replies("plan", phase=Phase.PLAN)
    told.add(EntryKind.DECISION, "planned", Phase.PLAN, failed="the order has a cycle")
    assert told.ended() == {names: MISS, plan: MISS}


def test_replies_without_a_record_are_counted() -> None:
    told = Told()
    told.replies("generate")
    told.add(EntryKind.CALL, "call.ended", purpose="generate", problem="")
    told.ended()
    assert told.beyond == 1


def test_what_is_taken_back_is_a_miss_once() -> None:
    told = Told()
    seen, said, offered = told.claims(About.CONDITION), told.replies("generate"), told.claims(About.CHANGE)
    refused = told.claims(About.CHANGE)
    told.goes(Phase.VALIDATE, Phase.GENERATE, "no")
    better = told.claims(About.CHANGE)
    assert told.ended() == {seen: HIT, said: MISS, offered: MISS, refused: MISS, better: HIT}
    grades = grade_taken_back(told.entries)
    assert [(g.record, g.outcome, g.was) for g in grades] == [(seen, MISS, HIT), (better, MISS, HIT)]
    told.entries.append(Entry(**grades_of(grades).model_dump(), seq=99, at="", prev="", hash=""))
    assert grade_taken_back(told.entries) == ()


def test_a_grade_reads_back_as_it_was_written() -> None:
    made = Graded(record=7, about=About.REPLY, outcome=MISS, was=HIT, confidence_bp=None, keys=record().keys)
    entry = Entry(**grades_of([made]).model_dump(), seq=9, at="", prev="", hash="")
    assert grades_in(entry) == (made,)
