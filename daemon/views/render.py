"""Renders views as blocks of text: status, ops, diffs, costs, health and log entries. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from daemon.control.intake_messages import PostureView
from daemon.control.messages import (
    CostView,
    HealthView,
    Life,
    LogView,
    MachineView,
    McpView,
    OpView,
    StatusView,
    SuiteView,
)
from daemon.views.mcp import format_server
from daemon.views.narrate import LABEL_WIDTH, EventLine, asked_line, describe, short_of
from daemon.views.text import Block, Line, Role, Span, clean, count, duration, line, money
from governance.pipeline.diff_text import HEADERS
from ledger.clock import unstamp
from ledger.vocabulary import Entry, OpOutcome

INDENT = "  "
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_GOOD_STATES = (OpOutcome.COMPLETE,)
_QUIET_STATES = (OpOutcome.NOOP,)


def status_block(view: StatusView) -> Block:
    """``ouro status``."""
    pause = [Span("PAUSED", Role.WARN), Span(" · ")] if view.queue.paused else []
    lines: list[Line] = [(*pause, *headline(view)), _state_line(view)]
    lines += [
        labelled(EventLine("degraded" if view.state is Life.DEGRADED else "note", r, Role.WARN)) for r in view.reasons
    ]
    lines.append(labelled(_suite_line(view.suite)))
    queue = view.queue
    more = (
        ("held back", queue.held_back),
        ("parked", queue.parked),
        ("dead", queue.dead),
        ("in quarantine", queue.quarantined),
    )
    parked = "".join(f", {number} {what}" for what, number in more if number)
    paused = ", paused: `ouro resume` goes on" if queue.paused else ""
    lines.append(labelled(EventLine("queue", f"{queue.queued} queued, {queue.claimed} in work{parked}{paused}")))
    lines += [labelled(_posture_line(view.posture))] if view.posture else []
    lines += [labelled(_server_line(one)) for one in view.mcp]
    lines += [labelled(EventLine("note", note)) for note in view.notes]
    for op in view.active:
        lines += [(), *op_lines(op, now=view.at)]
    for op in view.waiting:
        lines += [(), *op_lines(op, now=view.at), _next_step_line(op)]
    return tuple(lines)


def _posture_line(view: PostureView) -> EventLine:
    by = "set by the owner" if view.by == "owner" else "inferred"
    brake = f" · emergency brake: {view.brake}" if view.brake else ""
    pressed = f" · no exploration: {view.pressed_by}" if view.pressed_by else ""
    return EventLine("posture", f"{view.posture.value}, {by}{brake}{pressed}", Role.WARN if view.brake else Role.PLAIN)


def headline(view: StatusView) -> Line:
    """The first line: repository, kernel, sandbox, and the cost of today."""
    branch = f" ({view.branch})" if view.branch else " (detached)"
    kernel = f"kernel {view.kernel.model}" + ("" if view.kernel.ready else " not ready")
    box = view.sandbox
    if box.unsandboxed or box.name == "none":
        wall = Span("no sandbox" + (": work without walls is allowed" if box.unsandboxed else ""), Role.BAD)
    elif box.missing:
        wall = Span(f"sandbox {box.name}, missing: {', '.join(box.missing)}", Role.WARN)
    else:
        wall = Span(f"sandbox {box.name}, all walls hold")
    spent = f"today {count(view.today.ops, 'op')}, {money(view.today.spend.usd_micro)}"
    name = view.repo.rstrip("/").rpartition("/")[2]
    head = Span(f"ouroboros {view.version}", Role.HEAD)
    dot = " · "
    kernel_role = Role.PLAIN if view.kernel.ready else Role.WARN
    return line(head, dot, f"repo {name}{branch}", dot, Span(kernel, kernel_role), dot, wall, dot, spent)


def _state_line(view: StatusView) -> Line:
    role = {Life.ACTIVE: Role.GOOD, Life.FAILED: Role.BAD}.get(view.state, Role.WARN)
    return line(
        Span(view.state.value, role),
        " · ",
        f"watching {count(view.files_watched, 'file')}",
        " · ",
        _suite_summary(view.suite),
    )


def _suite_summary(suite: SuiteView) -> str:
    if not suite.tests:
        return "tests not seen yet"
    if suite.red:
        return f"{len(suite.red)} of {count(suite.tests, 'test')} red"
    return f"{count(suite.tests, 'test')} known {suite.status}"


def _suite_line(suite: SuiteView) -> EventLine:
    red = f": {', '.join(suite.red[:3])}" + (f" and {len(suite.red) - 3} more" if len(suite.red) > 3 else "")
    at = f" at {suite.commit[:7]}" if suite.commit else ""
    note = f" · {suite.note}" if suite.note else ""
    role = Role.BAD if suite.red else Role.PLAIN
    return EventLine("suite", f"{suite.status}{at}{red if suite.red else ''}{note}", role)


def _server_line(view: McpView) -> EventLine:
    return EventLine("mcp", clean(format_server(view)), Role.PLAIN if view.state == "connected" else Role.WARN)


def op_header(op: OpView) -> Line:
    """``op-7f3a  test_failure  tests/test_cart.py::test_total   SAFE_AUTO · IMMEDIATE``."""
    marks = [part for part in (op.tier.name if op.tier is not None else "", op.route.value if op.route else "") if part]
    return header(op.id, op.origin.value, _subject(op), marks)


def header(op_id: str, origin: str, subject: str, marks: Iterable[str]) -> Line:
    """The first line of an op's block."""
    right = " · ".join(marks)
    tail = [Span(f"  {right}", Role.DIM)] if right else []
    return line(Span(short_of(op_id), Role.HEAD), f"  {origin}  {subject}".rstrip(), *tail)


def _subject(op: OpView) -> str:
    return op.tests[0] if op.tests else op.goal


def op_lines(op: OpView, *, now: str = "") -> list[Line]:
    """Header and state of one op, without its steps: its age, and what it does or waits for."""
    age = f" · {duration(_elapsed_ms(op.started_at, now))}" if op.started_at and now else ""
    doing = " · waits for a person" if op.waiting or op.question else f" · {op.doing}" if op.doing else ""
    lines = [op_header(op), labelled(EventLine("state", f"{op.state.value}{age}{doing}", _role(op)))]
    return [*lines, labelled(asked_line(op.question.text, op.question.choices))] if op.question else lines


def _elapsed_ms(begun: str, ended: str) -> int:
    """Milliseconds from one UTC stamp to another."""
    return max(0, round((unstamp(ended) - unstamp(begun)).total_seconds() * 1000))


def _duration_ms(op: OpView) -> int:
    """Milliseconds from start to end of an op; for a running one the time worked so far."""
    return _elapsed_ms(op.started_at, op.ended_at) if op.started_at and op.ended_at else op.spend.working_ms


def _step_text(op: OpView, text: str) -> str:
    """The text of a step, without its hint at ``ouro show`` (this is it), or at ``ouro undo`` of an undone op."""
    text = text.removesuffix(f" · ouro show {op.short}")
    return text.removesuffix(f" · undo: ouro undo {op.short}") if op.undone_by else text


def op_block(op: OpView) -> Block:
    """``ouro show``: everything about one op."""
    lines: list[Line] = [op_header(op), labelled(EventLine("goal", op.goal))]
    lines += [
        labelled(EventLine(step.label or (step.phase or "").lower(), _step_text(op, step.text))) for step in op.steps
    ]
    lines += diff_lines(op.diff)
    ended = bool(op.steps) and op.ended  # then the last step contains the outcome
    if not ended:
        reason = f" · {op.reason}" if op.reason else ""
        commit = f" · {op.commit[:7]} on {op.branch or 'a branch'}" if op.commit else ""
        lines.append(labelled(EventLine("state", f"{op.state.value}{reason}{commit}", _role(op))))
    if op.learned:
        lines.append(labelled(EventLine("claims", op.learned)))
    spent = [duration(_duration_ms(op)), money(op.spend.usd_micro), count(op.spend.calls, "model call")]
    lines.append(labelled(EventLine("cost", " · ".join(spent))))
    lines.append(_next_step_line(op))
    return tuple(lines)


def _next_step_line(op: OpView) -> Line:
    """The commands that a person can use next for an op."""
    if op.question:
        text = f'ouro answer {op.short} "TEXT"' + (f" (until {op.question.until})" if op.question.until else "")
    elif op.waiting:
        until = f" (until {op.waiting_until}, then rejected)" if op.waiting_until else ""
        text = f"ouro diff {op.short} · {op.approval} · ouro reject {op.short}{until}"
    elif not op.ended:
        text = f"ouro cancel {op.short}"
    elif op.state is OpOutcome.COMPLETE and op.undone_by is None:
        text = f"ouro undo {op.short}"
    else:
        text = f"ouro log --op {op.short}"
    return labelled(EventLine("next", text, Role.DIM))


def _role(op: OpView) -> Role:
    if op.state in _GOOD_STATES:
        return Role.GOOD
    if not op.ended:
        return Role.WARN if op.waiting or op.question else Role.PLAIN
    return Role.PLAIN if op.state in _QUIET_STATES else Role.BAD


def labelled(event: EventLine) -> Line:
    """An indented line, with the label in a column of its own."""
    return line(INDENT, Span(f"{event.label:<{LABEL_WIDTH}} ", Role.DIM), Span(event.text, event.role))


def ops_block(ops: Iterable[OpView]) -> Block:
    """``ouro ops``: one line each."""
    lines = [
        line(
            Span(f"{op.short}  ", Role.HEAD),
            Span(f"{'WAITING' if op.waiting or op.question else op.state.value:<18}", _role(op)),
            f"{op.tier.name if op.tier is not None else '-':<18}",
            f"{op.origin.value:<13} {_subject(op)}",
            *([Span(f"  {op.commit[:7]}", Role.DIM)] if op.commit else []),
        )
        for op in ops
    ]
    return tuple(lines) or (line("No ops."),)


def diff_lines(diff: str) -> list[Line]:
    """A unified diff as lines of an op block: changed lines with their numbers, and a path line if several files."""
    files: list[tuple[str, list[Line]]] = []
    old = new = old_left = new_left = 0
    for raw in diff.split("\n"):
        hunk = _HUNK.match(raw)
        if old_left <= 0 and new_left <= 0:  # between hunks: headers only
            if raw.startswith("diff --git "):
                files.append((raw.rpartition(" b/")[2], []))
            elif raw.startswith(HEADERS) and files:
                files[-1][1].append(line(INDENT, raw))
            elif raw.startswith("+++ ") or not files:
                name = raw[4:].removeprefix("b/")
                if not files or name not in (files[-1][0], "/dev/null"):  # else git's header line had the name already
                    files.append((name, []))
            if hunk:
                old, new = int(hunk[1]), int(hunk[3])
                old_left, new_left = int(hunk[2] or 1), int(hunk[4] or 1)
        elif raw.startswith("-"):
            files[-1][1].append(_changed_line(old, raw, Role.REMOVED))
            old, old_left = old + 1, old_left - 1
        elif raw.startswith("+"):
            files[-1][1].append(_changed_line(new, raw, Role.ADDED))
            new, new_left = new + 1, new_left - 1
        elif not raw.startswith("\\"):  # "\ No newline at end of file" is no line
            old, new, old_left, new_left = old + 1, new + 1, old_left - 1, new_left - 1
    shown = [(path, lines) for path, lines in files if lines]
    named = len(shown) > 1
    return [one for path, lines in shown for one in ([line(INDENT, Span(path, Role.DIM))] if named else []) + lines]


def _changed_line(number: int, raw: str, role: Role) -> Line:
    return line(INDENT, Span(f"{number:>6} {raw[0]} {raw[1:]}", role))


def diff_block(diff: str) -> Block:
    """A diff as git shows it, coloured by line."""
    lines = []
    for raw in diff.removesuffix("\n").split("\n"):
        role = Role.PLAIN
        if raw.startswith(("+++", "---", "diff ", "index ")):
            role = Role.HEAD
        elif raw.startswith("+"):
            role = Role.ADDED
        elif raw.startswith("-"):
            role = Role.REMOVED
        lines.append(line(Span(raw, role)))
    return tuple(lines)


def cost_block(view: CostView) -> Block:
    """``ouro cost``."""
    today = view.today
    ceiling = f" of {money(today.ceiling_usd_micro)}" if today.ceiling_usd_micro is not None else ""
    head = f"today {count(today.ops, 'op')}, {today.completed} complete, {money(today.spend.usd_micro)}{ceiling}"
    lines = [line(Span(head, Role.HEAD))]
    for row in view.lines:
        spend = row.spend
        tokens = f"{spend.tokens_in} tokens in, {spend.tokens_out} out"
        lines.append(
            labelled(
                EventLine(
                    row.provider, f"{row.model} · {count(spend.calls, 'call')} · {tokens} · {money(spend.usd_micro)}"
                )
            )
        )
    for op in view.ops:
        text = f"{money(op.spend.usd_micro)} · {duration(_duration_ms(op))} · {op.state.value} · {_subject(op)}"
        lines.append(labelled(EventLine(op.short, text, _role(op))))
    return tuple(lines)


def health_block(view: HealthView) -> Block:
    """``ouro status --health``."""
    role = Role.GOOD if view.ok else Role.BAD
    facts = (
        f"up {duration(view.uptime_s * 1000)} · {view.resident_kb // 1024} MB, at most "
        f"{view.resident_peak_kb // 1024} MB · loop lag {view.loop_lag_ms} ms · "
        f"{count(view.open_files, 'open file')} · {count(view.tasks, 'task')} · ledger {view.ledger_seq}"
    )
    grounded = f"{count(view.collapses, 'answer')} collapsed, re-grounded {count(view.regroundings, 'time')}"
    return (
        line(Span(view.state.value, role), " · ", facts),
        *([labelled(EventLine("canary", grounded, Role.WARN))] if view.collapses or view.regroundings else []),
        *(labelled(EventLine("why", r, Role.WARN)) for r in view.reasons),
        *_machine_lines(view.machine),
    )


def _machine_lines(view: MachineView) -> Block:
    """One line for the machine's state and one per part; empty before the first measurement."""
    if not view.parts:
        return ()
    role = Role.GOOD if view.score == 100 else Role.WARN
    lowest = f" · lowest {view.lowest} of {count(view.samples, 'look')}"
    parts = (
        EventLine(
            part.name,
            part.said + ("" if part.level == "NORMAL" else f" · {part.level}"),
            Role.PLAIN if part.level == "NORMAL" else Role.WARN,
        )
        for part in view.parts
    )
    return (labelled(EventLine("machine", f"{view.state}, score {view.score}{lowest}", role)), *map(labelled, parts))


def log_block(view: LogView) -> Block:
    """``ouro log``: one line per entry."""
    return tuple(log_line(entry) for entry in view.entries) or (line("The ledger has no such entry."),)


def log_line(entry: Entry) -> Line:
    """``  212 2026-01-01 10:00:00 op-7f3a21 APPLY  done: committed ...``."""
    when = entry.at.replace("T", " ")[:19]
    op = short_of(entry.op_id) if entry.op_id else "-"
    phase = entry.phase.value if entry.phase else entry.kind.value
    return line(Span(f"{entry.seq:>6} {when} ", Role.DIM), f"{op:<10} {phase:<18} ", clean(describe(entry)))
