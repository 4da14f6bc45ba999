"""Live blocks: entries go in as they happen, the text to print comes out. Holds only what the open blocks need."""

from __future__ import annotations

from daemon.control.messages import Event
from daemon.views.narrate import careful, format_event, touches_own_work
from daemon.views.render import diff_lines, header, labelled
from daemon.views.text import Line, Role, Span, line, show
from ledger.events.event import LedgerEvent, read_event
from ledger.events.op import CandidateProposed, OpEnded, OpStarted, RouteChosen, TierAssigned
from ledger.ids import core_of
from ledger.vocabulary import Entry


class _Open:
    """An op whose block is not closed yet."""

    def __init__(self, op_id: str) -> None:
        self.id = op_id
        self.origin = op_id[len(f"op-{core_of(op_id)}-") :] if op_id.count("-") >= 2 else ""
        self.subject = ""
        self.tier = ""
        self.route = ""
        self.shown = False
        self.own_work = False  # the owner's uncommitted files are in the way of a merge


class LiveBlocks:
    """One block an op. Lines of several ops that run at once are kept apart by repeating the short header."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour
        self._open: dict[str, _Open] = {}
        self._last: str | None = None

    def event(self, event: Event) -> str:
        """What to print for an event of the control socket; empty for nothing."""
        lines: list[Line] = []
        if event.missed:
            lines.append(line(Span(f"({event.missed} entries were not shown; `ouro log` has them)", Role.DIM)))
        if event.entry is not None:
            lines += self._entry(event.entry)
        elif event.note and event.op in self._open:
            lines += self._under(self._open[event.op], [line("  ", Span(event.note, Role.DIM))])
        elif event.note and event.op is None:
            lines += [line(note) for note in event.note.splitlines()]
        return show(lines, colour=self._colour)

    def feed(self, entry: Entry) -> str:
        """What to print for one ledger entry; empty for nothing."""
        return show(self._entry(entry), colour=self._colour)

    def _entry(self, entry: Entry) -> list[Line]:
        event = read_event(entry)
        told = format_event(event, entry)
        if entry.op_id is None:
            return [] if told is None else [labelled(told)]
        op = self._open.setdefault(entry.op_id, _Open(entry.op_id))
        self._learn(op, event)
        if told is not None and op.own_work:
            told = careful(told)
        body = [] if told is None else [labelled(told)]
        if isinstance(event, CandidateProposed):
            body += diff_lines(event.diff)
        lines = self._under(op, body) if body else []
        if isinstance(event, OpEnded):
            lines.append(())
            del self._open[entry.op_id]
            self._last = None
        return lines

    def _learn(self, op: _Open, event: LedgerEvent) -> None:
        op.own_work = op.own_work or touches_own_work(event)
        if isinstance(event, OpStarted):
            op.subject = event.tests[0] if event.tests else event.goal
        elif isinstance(event, TierAssigned):
            op.tier = event.tier.name
        elif isinstance(event, RouteChosen):
            op.route = event.route.value

    def _under(self, op: _Open, body: list[Line]) -> list[Line]:
        """``body`` below the op's header, which is printed when it was not the last one."""
        lines = list(body)
        if self._last != op.id:
            marks = [mark for mark in (op.tier, op.route) if mark] if not op.shown else []
            first = header(op.id, op.origin, op.subject if not op.shown else "", marks)
            lines = [first, *body]
            op.shown = True
        self._last = op.id
        return lines
