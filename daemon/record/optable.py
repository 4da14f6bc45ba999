"""The ops as a person sees them: a pure fold of ledger entries into views."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from daemon.control.messages import OpStep, OpView, QuestionView
from daemon.views import calls
from daemon.views.narrate import careful, format_event, touches_own_work
from ledger.events.approval import (
    ApprovalAnswered,
    ApprovalNotified,
    ApprovalRequested,
    QuestionAsked,
    QuestionClosed,
)
from ledger.events.change import CommitMade, UndoMade
from ledger.events.event import LedgerEvent, read_event
from ledger.events.grounding import About, ClaimsGraded
from ledger.events.model import CallEnded, Regrounded
from ledger.events.op import OpEnded, OpStarted, PhaseEntered, RouteChosen, TierAssigned
from ledger.ids import core_of, resolve_op, short_id
from ledger.sources import SOURCES
from ledger.vocabulary import Entry, Phase, Source, Spend

KEPT_OPS = 500
KEPT_STEPS = 200
COLLAPSES, REGROUNDINGS = "collapses", "regroundings"
"""What a live daemon counts."""


def begin(entry: Entry) -> OpView:
    """A view of an op of which only its id is known."""
    op_id = entry.op_id or ""
    origin = op_id.rpartition("-")[2]
    return OpView(
        id=op_id,
        short=short_id(op_id) if len(core_of(op_id)) == 32 else op_id,
        origin=Source(origin) if origin in SOURCES else Source.MANUAL,
        goal="",
        state=Phase.CLASSIFY,
        started_at=entry.at,
    )


def larger(known: Spend, said: Spend) -> Spend:
    """What an op has cost so far: it only grows, and entries of other rooms do not know it."""
    return Spend(**{name: max(value, getattr(said, name)) for name, value in known})


def fold(view: OpView, entry: Entry) -> OpView:
    """``view`` after ``entry``."""
    event = read_event(entry)
    changes = dict[str, Any](updated_at=entry.at, spend=larger(view.spend, entry.spend)) | _changes(event, view, entry)
    told = format_event(event, entry)
    changes["own_work"] = view.own_work or touches_own_work(event)
    if told is not None and changes["own_work"]:
        told = careful(told)
    if told is not None:
        changes["doing"] = f"{told.label}: {told.text}"
        step = OpStep(at=entry.at, phase=entry.phase, label=told.label, text=told.text)
        changes["steps"] = (*view.steps, step)[-KEPT_STEPS:]
    return view.model_copy(update=changes)


def count_grades(event: ClaimsGraded) -> str:
    """Outcomes by kind of claim, and the reason."""
    parts = []
    for about in About:
        ends = Counter(grade.outcome for grade in event.grades if grade.about is about)
        single = sum(ends.values()) == 1
        told = [outcome.value if single else f"{number} {outcome.value}" for outcome, number in ends.items()]
        parts += [f"{about.value} {', '.join(told)}"] if told else []
    again = "now " if any(grade.was is not None for grade in event.grades) else ""
    return f"{again}{' · '.join(parts)} ({event.why})" if parts else ""


def _changes(event: LedgerEvent, view: OpView, entry: Entry) -> dict[str, Any]:
    """Fields of the view that an event changes."""
    match event:
        case OpStarted():
            return event.model_dump(include={"goal", "targets", "tests", "signals", "attempt", "base"})
        case TierAssigned():
            return {"tier": event.tier} | ({} if event.complexity is None else {"complexity": event.complexity})
        case RouteChosen():
            return {"route": event.route}
        case PhaseEntered():
            return {"state": event.to, "waiting": False}
        case ApprovalRequested():
            until, asked = event.expires_at, {"asked": event.number, "change": event.change}
            return {"waiting": True, "waiting_until": until, "reason": event.reason, **asked}
        case ApprovalNotified() | ApprovalAnswered():
            return {"waiting": False}
        case QuestionAsked():
            question = QuestionView(id=event.id, text=event.question, choices=event.choices, until=event.expires_at)
            return {"question": question}
        case QuestionClosed():
            return {"question": None}
        case CommitMade():
            return {"commit": event.commit, "branch": event.ref.removeprefix("refs/heads/")}
        case UndoMade():
            return {"undone_by": event.commit}
        case ClaimsGraded():
            return {"learned": count_grades(event)}
        case OpEnded():
            ended = {
                "state": event.to,
                "waiting": False,
                "question": None,
                "root_cause": event.root_cause,
                "failure_class": event.failure_class,
                "reason": event.reason,
                "ledger_seq": entry.seq,
                "ended_at": entry.at,
            }
            if event.commit:  # found by recovery: then there is no CommitMade
                branch = (event.ref or view.branch or "").removeprefix("refs/heads/") or None
                ended |= {"commit": event.commit, "branch": branch}
            return ended
    return {}


def fold_op(history: Sequence[Entry]) -> OpView:
    """The view of one op from all its entries, at least one, in order."""
    view = begin(history[0])
    for entry in history:
        view = fold(view, entry)
    return view


class OpTable:
    """The newest ops, kept current by feeding every entry once, in order.

    ``seq`` is the last entry that was fed. An op whose earlier entries were not fed is adopted whole first. ``counted``
    has how many collapses and regroundings were among them.
    """

    def __init__(self, *, seq: int = 0) -> None:
        self._ops: OrderedDict[str, OpView] = OrderedDict()
        self._upto: dict[str, int] = {}  # op -> the last of its entries that its view has seen
        self.counted: Counter[str] = Counter()
        self.seq = seq

    def feed(self, entries: Iterable[Entry]) -> None:
        """Fold entries in; entries that were fed before, or that an adopted view has seen, are ignored."""
        for entry in entries:
            if entry.seq <= self.seq:
                continue
            self.seq = entry.seq
            self._count(read_event(entry))
            if entry.op_id is None or entry.seq <= self._upto.get(entry.op_id, 0):
                continue
            known = self._ops.get(entry.op_id)
            self._ops[entry.op_id] = fold(known or begin(entry), entry)
            self._upto[entry.op_id] = entry.seq
            self._ops.move_to_end(entry.op_id)
            self._shorten()

    def _count(self, event: LedgerEvent) -> None:
        if isinstance(event, Regrounded):
            self.counted[REGROUNDINGS] += 1
        elif isinstance(event, CallEnded) and calls.is_collapse(event):
            self.counted[COLLAPSES] += 1

    def adopt(self, history: Sequence[Entry], *, newest: bool) -> None:
        """Take an op over with all its entries so far. Not ``newest``: it is older than all that are known.

        Nothing happens when the table has seen as much of it.
        """
        if not history or history[-1].op_id is None or history[-1].seq <= self._upto.get(history[-1].op_id, 0):
            return
        view = fold_op(history)
        known = view.id in self._ops
        self._ops[view.id] = view
        self._upto[view.id] = history[-1].seq
        if newest or not known:
            self._ops.move_to_end(view.id, last=newest)
        self._shorten()

    def _shorten(self) -> None:
        """Ops that are not over stay, however old they are: a person may have to answer."""
        while len(self._ops) > KEPT_OPS:
            gone = next((op_id for op_id, view in self._ops.items() if view.ended), next(iter(self._ops)))
            del self._ops[gone], self._upto[gone]

    def knows(self, op_id: str) -> bool:
        return op_id in self._ops

    def resolve(self, reference: str) -> OpView:
        """The op that ``reference`` names. Raises ``ControlError`` for none or several."""
        return self._ops[resolve_op(reference, self._ops)]

    def newest(self, *, ended: bool) -> list[OpView]:
        """Newest first; without ``ended`` only those that are not over."""
        return [v for v in reversed(self._ops.values()) if ended or not v.ended]
