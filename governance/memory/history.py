"""Outcomes of earlier ops, read from the ledger: one for each op, as last updated. Pure.

Failures of machine, provider or budget are left out, because they prove nothing about a file. So are ops that the owner
cancelled or let expire: only a rejection is a judgement.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ledger.clock import unstamp
from ledger.events.change import ReviewMerged, ReviewRejected, UndoMade
from ledger.events.event import read_event
from ledger.events.op import OutcomeRecorded
from ledger.vocabulary import Entry, FailureClass, Frozen, OpOutcome, RootCause

OUTCOMES = (OutcomeRecorded, UndoMade, ReviewRejected, ReviewMerged)
"""Classes of the events that this module reads."""

JUDGED = frozenset({FailureClass.CODE, FailureClass.TEST, FailureClass.COLLAPSE})
"""Failures that are evidence about the files."""


class PastOp(Frozen):
    """An earlier op whose outcome is evidence about its files."""

    op_id: str
    at: str  # UTC stamp of the last update
    files: tuple[str, ...]
    good: bool
    taken_back: bool = False  # the owner undid it, turned it down, or deleted its branch
    why: str = ""

    @property
    def when(self) -> datetime:
        return unstamp(self.at)


def past_ops(entries: Iterable[Entry]) -> tuple[PastOp, ...]:
    """The ops of outcome entries in ledger order; the op updated last comes last."""
    found: dict[str, PastOp] = {}
    for entry in entries:
        event, op_id = read_event(entry), entry.op_id or ""
        before = found.get(op_id)
        if isinstance(event, OutcomeRecorded):
            past = _past_op(entry, event)
        elif before is None:  # its end is older than the entries given
            past = None
        elif isinstance(event, ReviewMerged):
            past = before.model_copy(update={"at": entry.at, "good": True, "taken_back": False, "why": ""})
        else:
            why = "the owner took it back" if isinstance(event, UndoMade) else "the owner deleted its review branch"
            past = before.model_copy(update={"at": entry.at, "good": False, "taken_back": True, "why": why})
        if past is not None:
            found.pop(op_id, None)
            found[op_id] = past
    return tuple(found.values())


def _past_op(entry: Entry, event: OutcomeRecorded) -> PastOp | None:
    turned_down = event.root_cause is RootCause.APPROVAL_REJECTED
    judged = event.failure_class in JUDGED and entry.phase is OpOutcome.POSTMORTEM
    if not event.files or not (event.success or turned_down or judged):
        return None
    why = "" if event.success else event.reason or event.root_cause.value
    return PastOp(
        op_id=entry.op_id or "", at=entry.at, files=event.files, good=event.success, taken_back=turned_down, why=why
    )
