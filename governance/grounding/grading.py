"""Grades the claims of an op from the op's own entries. Pure.

The outcomes are in the record already: test results, closure checks, undos, rejections, empty searches. A claim about
which the end of its op proves nothing is VOID: closed, but not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from governance.pipeline.dossier import WAITED_RULE
from ledger.events.check import ToolCalled
from ledger.events.event import read_event
from ledger.events.grounding import About, ClaimMade, ClaimOutcome, ClaimsGraded, Graded
from ledger.events.model import CallEnded, CallProblem
from ledger.events.op import ContextExpanded, PhaseEntered, PlanMade
from ledger.events.repair import HolesInfilled, VariantsTested
from ledger.vocabulary import Entry, FailureClass, Frozen, OpOutcome, Phase, RootCause, State

HIT, MISS, VOID = ClaimOutcome.HIT, ClaimOutcome.MISS, ClaimOutcome.VOID

READ: Final = (
    ClaimMade,
    ClaimsGraded,
    CallEnded,
    VariantsTested,
    HolesInfilled,
    ContextExpanded,
    PlanMade,
    ToolCalled,
    PhaseEntered,
)
"""Classes of the events that grading needs."""

CONVERSATION = "generate"
WAVE_PREFIXES = ("infill: ", "diverge: ")
OWNER_REJECTIONS = frozenset({RootCause.APPROVAL_REJECTED})
CAUSED_BY_CHANGE = frozenset({FailureClass.CODE, FailureClass.TEST, FailureClass.POLICY})


class OpEnd(Frozen):
    """How an op ended. ``origin``: the phase in which it ended."""

    state: OpOutcome
    origin: Phase | None = None
    cause: RootCause = RootCause.NONE
    failure: FailureClass = FailureClass.NONE


def change_outcome(end: OpEnd) -> ClaimOutcome:
    """Outcome of the op's change, and of the model replies that led to it."""
    if end.state is OpOutcome.COMPLETE:
        return HIT
    if end.cause in OWNER_REJECTIONS or end.failure is FailureClass.COLLAPSE:
        return MISS
    ended_by_it = end.state in (OpOutcome.POSTMORTEM, OpOutcome.BLOCKED) and end.failure in CAUSED_BY_CHANGE
    return MISS if ended_by_it else VOID


def condition_outcome(end: OpEnd) -> ClaimOutcome:
    """Outcome of the signal's claim: the condition existed and the work was wanted."""
    if end.state is OpOutcome.COMPLETE:
        return HIT
    had_nothing_to_do = end.state is OpOutcome.NOOP and end.origin is not Phase.VERIFY  # NOOP from VERIFY is a dry run
    return MISS if had_nothing_to_do or end.cause in OWNER_REJECTIONS else VOID


class _Claims:
    """The claims of one op, by sequence number, and their outcomes so far; updated entry by entry."""

    def __init__(self) -> None:
        self.records: dict[int, ClaimMade] = {}
        self.graded: dict[int, ClaimOutcome] = {}
        self.decided: dict[int, ClaimOutcome] = {}
        self.calls = 0
        self._phases: dict[int, State | None] = {}
        self._problem = ""
        self._last: int | None = None  # sequence number of the latest conversation reply

    def add(self, entry: Entry) -> None:
        match read_event(entry):
            case ClaimMade() as claim:
                self._add_claim(entry, claim)
            case CallEnded(problem=problem):
                self.calls += 1
                self._problem = problem
            case VariantsTested(wave=wave, green=green, partial=partial):
                self._decide(HIT if green or partial else MISS, [f"{name}{wave}" for name in WAVE_PREFIXES])
            case HolesInfilled(wave=wave, distinct=distinct) if not distinct:  # nothing new, so no test will grade it
                self._decide(VOID, [f"{name}{wave}" for name in WAVE_PREFIXES])
            case ContextExpanded(files=files):
                self._decide(HIT if files else MISS, ["expansion"])
            case PlanMade(failed=failed) if failed:
                self._decide(MISS, ["plan"])
            case ToolCalled(found=found) if found is not None:
                self._add_search(found=found)
            case PhaseEntered(origin=origin, to=to, rule=rule):
                self._add_move(origin, to, rule)
            case ClaimsGraded(grades=grades):
                self.graded.update((grade.record, grade.outcome) for grade in grades)

    def open(self) -> list[int]:
        return [seq for seq in self.records if seq not in self.graded]

    def _add_claim(self, entry: Entry, record: ClaimMade) -> None:
        self.records[entry.seq], self._phases[entry.seq] = record, entry.phase
        if record.about is not About.REPLY:
            return
        if self._problem:
            self.decided[entry.seq] = VOID if self._problem == CallProblem.CANCELLED else MISS
        self._problem = ""
        self._last = entry.seq if record.claim == CONVERSATION else None

    def _add_search(self, *, found: bool) -> None:
        """A reply with searches is a hit when one of them finds something."""
        if self._last is not None:
            known = self.decided.get(self._last)
            self.decided[self._last] = HIT if found or known is HIT else MISS

    def _decide(self, outcome: ClaimOutcome, claims: Sequence[str]) -> None:
        for seq, record in self.records.items():
            if record.about is About.REPLY and record.claim in claims:
                self.decided.setdefault(seq, outcome)

    def _add_move(self, origin: Phase, to: Phase, rule: str) -> None:
        """Grade the attempt's replies and change when the op goes back: misses, or void if they were not the cause."""
        if to is Phase.GENERATE and origin in (Phase.GENERATE, Phase.VALIDATE, Phase.VERIFY):
            self._decide_attempt(VOID if rule == WAITED_RULE else MISS)
        elif origin in (Phase.APPLY, Phase.GATE) and to in (Phase.PLAN, Phase.GENERATE):
            self._decide_attempt(VOID)

    def _decide_attempt(self, outcome: ClaimOutcome) -> None:
        for seq, record in self.records.items():
            graded_elsewhere = record.about is About.CONDITION or record.claim.startswith(WAVE_PREFIXES)
            if not graded_elsewhere and self._phases[seq] is Phase.GENERATE:
                self.decided.setdefault(seq, outcome)

    def at_end(self, seq: int, end: OpEnd) -> ClaimOutcome:
        record = self.records[seq]
        if record.about is About.CONDITION:
            return condition_outcome(end)
        waits_for_a_test = record.about is About.REPLY and record.claim.startswith(WAVE_PREFIXES)
        return self.decided.get(seq, VOID if waits_for_a_test else change_outcome(end))


def _grade(seq: int, record: ClaimMade, outcome: ClaimOutcome, was: ClaimOutcome | None = None) -> Graded:
    return Graded(
        record=seq, about=record.about, outcome=outcome, was=was, confidence_bp=record.confidence_bp, keys=record.keys
    )


def _read(entries: Iterable[Entry]) -> _Claims:
    claims = _Claims()
    for entry in entries:
        claims.add(entry)
    return claims


def grade_at_end(entries: Iterable[Entry], end: OpEnd) -> tuple[tuple[Graded, ...], int]:
    """Grades for all ungraded records of an op, and the number of replies without a record."""
    claims = _read(entries)
    replies = sum(record.about is About.REPLY for record in claims.records.values())
    grades = tuple(_grade(seq, claims.records[seq], claims.at_end(seq, end)) for seq in claims.open())
    return grades, max(0, claims.calls - replies)


def grade_taken_back(entries: Iterable[Entry]) -> tuple[Graded, ...]:
    """Grades after an undo or a rejection by the owner: hits of the change and its condition become misses.

    Replies keep their grades: what an answer did for a test remains true.
    """
    claims = _read(entries)
    return tuple(
        _grade(seq, record, MISS, claims.graded[seq])
        for seq, record in claims.records.items()
        if record.about is not About.REPLY and claims.graded.get(seq) is HIT
    )
