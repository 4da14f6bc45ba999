"""The ops as a person sees them: a pure fold of ledger entries into views."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from daemon import calls
from daemon.api import OpView, QuestionView, Step
from daemon.learned import learned
from daemon.narrate import careful, tell, touches_own_work
from governance.grounding.records import GRADED
from ledger.ids import core_of, resolve_op, short_id
from ledger.sources import SOURCES
from ledger.vocabulary import (
    Complexity,
    Entry,
    EntryKind,
    FailureClass,
    RootCause,
    Route,
    Source,
    Spend,
    State,
    Tier,
)

KEPT_OPS = 500
KEPT_STEPS = 200
COLLAPSES, REGROUNDINGS = "collapses", "regroundings"
COUNTED: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    COLLAPSES: calls.collapsed,
    REGROUNDINGS: lambda payload: payload.get("event") == "regrounded",
}
"""What a live daemon counts."""


def _member(enum: Any, value: object) -> Any:
    return enum[value] if isinstance(value, str) and value in enum.__members__ else None


def begin(entry: Entry) -> OpView:
    """A view of an op of which only its id is known."""
    op_id = entry.op_id or ""
    origin = op_id.rpartition("-")[2]
    return OpView(
        id=op_id,
        short=short_id(op_id) if len(core_of(op_id)) == 32 else op_id,
        origin=Source(origin) if origin in SOURCES else Source.MANUAL,
        goal="",
        state=State.CLASSIFY,
        started_at=entry.at,
    )


def larger(known: Spend, said: Spend) -> Spend:
    """What an op has cost so far: it only grows, and entries of other rooms do not know it."""
    return Spend(**{name: max(value, getattr(said, name)) for name, value in known})


def fold(view: OpView, entry: Entry) -> OpView:
    """``view`` after ``entry``."""
    payload, changes = entry.payload, dict[str, Any](updated_at=entry.at, spend=larger(view.spend, entry.spend))
    event = payload.get("event")
    if event == "op.started":
        changes |= {
            "goal": payload.get("goal", ""),
            "targets": tuple(payload.get("targets", ())),
            "tests": tuple(payload.get("tests", ())),
            "signals": tuple(payload.get("signals", ())),
            "attempt": payload.get("attempt", 1),
            "base": payload.get("base", ""),
        }
    elif event == "tier.assigned":
        changes["tier"] = _member(Tier, payload.get("tier"))
        if payload.get("complexity"):
            changes["complexity"] = _member(Complexity, payload["complexity"])
    elif event == "route.chosen":
        changes["route"] = _member(Route, payload.get("route"))
    elif event == "phase.entered":
        changes |= {"state": State(str(payload["to"])), "waiting": False}
    elif event == "approval.requested":
        changes |= {
            "waiting": True,
            "waiting_until": payload.get("expires_at", ""),
            "reason": payload.get("reason", ""),
        }
    elif event == "question.asked":
        changes["question"] = QuestionView(
            id=payload.get("id", ""), text=payload.get("question", ""), choices=tuple(payload.get("choices", ())),
            until=payload.get("expires_at", ""),
        )  # fmt: skip
    elif str(event).startswith("question."):
        changes["question"] = None
    elif entry.kind is EntryKind.APPROVAL:
        changes["waiting"] = False
    elif event == "committed":
        ref = str(payload.get("ref", ""))
        changes |= {"commit": payload.get("commit"), "branch": ref.removeprefix("refs/heads/")}
    elif event == "undone":
        changes["undone_by"] = payload.get("commit")
    elif event == "terminal":
        changes |= {
            "state": State(str(payload["to"])),
            "waiting": False,
            "question": None,
            "root_cause": RootCause(payload.get("root_cause", "none")),
            "failure_class": FailureClass(payload.get("failure_class", "none")),
            "reason": payload.get("reason", ""),
            "ledger_seq": entry.seq,
            "ended_at": entry.at,
        }
        if payload.get("commit"):  # found by recovery: then there is no entry "committed"
            changes["commit"] = payload["commit"]
            changes["branch"] = str(payload.get("ref") or view.branch or "").removeprefix("refs/heads/") or None
    elif event == GRADED:
        changes["learned"] = learned(entry)
    told = tell(entry)
    changes["own_work"] = view.own_work or touches_own_work(entry)
    if told is not None and changes["own_work"]:
        told = careful(told)
    if told is not None:
        changes["doing"] = f"{told.label}: {told.text}"
        step = Step(at=entry.at, phase=entry.phase, label=told.label, text=told.text)
        changes["steps"] = (*view.steps, step)[-KEPT_STEPS:]
    return view.model_copy(update=changes)


def folded(history: Sequence[Entry]) -> OpView:
    """The view of one op from all its entries, at least one, in order."""
    view = begin(history[0])
    for entry in history:
        view = fold(view, entry)
    return view


class OpTable:
    """The newest ops, kept current by feeding every entry once, in order.

    ``seq`` is the last entry that was fed. An op whose earlier entries were not fed is adopted whole first. ``counted``
    are the events of :data:`COUNTED` among those that were fed.
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
            self.counted.update(name for name, is_one in COUNTED.items() if is_one(entry.payload))
            if entry.op_id is None or entry.seq <= self._upto.get(entry.op_id, 0):
                continue
            known = self._ops.get(entry.op_id)
            self._ops[entry.op_id] = fold(known or begin(entry), entry)
            self._upto[entry.op_id] = entry.seq
            self._ops.move_to_end(entry.op_id)
            self._shorten()

    def adopt(self, history: Sequence[Entry], *, newest: bool) -> None:
        """Take an op over with all its entries so far. Not ``newest``: it goes behind all that are known.

        Nothing happens when the table has seen as much of it.
        """
        if not history or history[-1].op_id is None or history[-1].seq <= self._upto.get(history[-1].op_id, 0):
            return
        view = folded(history)
        known = view.id in self._ops
        self._ops[view.id] = view
        self._upto[view.id] = history[-1].seq
        if newest or not known:
            self._ops.move_to_end(view.id, last=newest)
        self._shorten()

    def _shorten(self) -> None:
        """Ops that are not over stay, however old they are: a person may have to answer."""
        while len(self._ops) > KEPT_OPS:
            gone = next((op_id for op_id, view in self._ops.items() if view.state.terminal), next(iter(self._ops)))
            del self._ops[gone], self._upto[gone]

    def knows(self, op_id: str) -> bool:
        return op_id in self._ops

    def resolve(self, reference: str) -> OpView:
        """The op that ``reference`` names. Raises ``ControlError`` for none or several."""
        return self._ops[resolve_op(reference, self._ops)]

    def newest(self, *, ended: bool) -> list[OpView]:
        """Newest first; without ``ended`` only those that are not over."""
        return [v for v in reversed(self._ops.values()) if ended or not v.state.terminal]
