"""One ledger entry as one line for a person: a short label and a sentence. Pure, and tolerant of missing fields.

Entries are read by their payload's ``event`` name. What has no line of its own here is bookkeeping: silent in a live
block, shown generically by ``ouro log``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from daemon import calls
from daemon.text import Role, clean, count, duration, money
from ledger.ids import core_of, short_id
from ledger.vocabulary import Entry, RootCause, State

Payload = Mapping[str, Any]
LABEL_WIDTH = 9
REVIEW = "ouro/review/"
TAKE_IT = "take it: git merge"
SNAPSHOT = "The work stands on a snapshot of uncommitted files"
STOPPED = "the daemon stopped"  # why an op ended that a clean stop ended: governance says the same
_SCOPES = {"failing": "the failing tests", "affected": "affected tests", "suite": "whole suite", "closure": "closure"}


@dataclass(frozen=True, slots=True)
class Told:
    """What one entry says. ``label`` is a word such as "why" or "done"."""

    label: str
    text: str
    role: Role = Role.PLAIN

    def __str__(self) -> str:
        return f"{self.label:<{LABEL_WIDTH}} {self.text}".rstrip()


def narrate(entry: Entry) -> str | None:
    """The line of ``entry`` in the block of its op; None when it says nothing new to a person."""
    told = tell(entry)
    return None if told is None else str(told)


def tell(entry: Entry) -> Told | None:
    """Like :func:`narrate`, as label, text and role."""
    teller = _TELLERS.get(event_of(entry))
    if teller is None:
        return None
    told = teller(entry.payload, entry)
    return None if told is None else Told(told.label, clean(told.text), told.role)


def describe(entry: Entry) -> str:
    """One line for any entry, for the log: never silent."""
    told = tell(entry)
    if told is not None:
        return f"{told.label}: {told.text}"
    if event_of(entry) == "call.ended":
        return clean(f"model: {calls.told(entry.payload)}")
    plain = [f"{key} {value}" for key, value in entry.payload.items() if key != "event" and _short(value)]
    return clean(" · ".join([event_of(entry) or entry.kind.value, *plain[:4]]))


def touches_own_work(entry: Entry) -> bool:
    """True for the entry that says: the change goes to a review branch because the owner's files are not committed."""
    said = _text(entry.payload, "reason")
    return event_of(entry) == "landing.chosen" and said.startswith(("The owner has work of his own", SNAPSHOT))


def careful(told: Told) -> Told:
    """The same end, said where git would refuse to merge over the owner's uncommitted files."""
    return Told(told.label, told.text.replace(TAKE_IT, f"commit or stash your own changes, then {TAKE_IT}"), told.role)


def event_of(entry: Entry) -> str:
    """The name of what happened."""
    return str(entry.payload.get("event", ""))


def short_of(op_id: str) -> str:
    """``op-1a2b3c`` for a full op id; the id itself when it has another shape."""
    try:
        return f"op-{short_id(op_id)}" if len(core_of(op_id)) == 32 else op_id
    except IndexError:
        return op_id


def _short(value: object) -> bool:
    return isinstance(value, str | int) and 0 < len(str(value)) <= 60


def _text(payload: Payload, *names: str) -> str:
    """The first of ``names`` that holds something, as text."""
    return next((str(payload[n]) for n in names if payload.get(n) not in (None, "", [], {})), "")


def _number(payload: Payload, *names: str) -> int | None:
    return next((number for name in names if (number := calls.whole(payload, name)) is not None), None)


def _names(payload: Payload, *names: str) -> list[str]:
    for name in names:
        value = payload.get(name)
        if isinstance(value, list | tuple) and value:
            return [str(item) for item in value]
    return []


def _few(items: list[str], limit: int = 3) -> str:
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def _took(payload: Payload) -> str:
    millis = _number(payload, "ms", "duration_ms")
    return "" if millis is None else f" in {duration(millis)}"


def _join(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _place(payload: Payload) -> str:
    path, line, function = _text(payload, "path"), _number(payload, "line"), _text(payload, "function")
    where = f"{path}:{line}" if path and line is not None else path
    return where + (f" in {function}()" if where and function else "")


def _red(payload: Payload, entry: Entry) -> Told:
    if _text(payload, "status") == "green":
        return Told("why", "the test is green at this commit: " + (_text(payload, "reason") or "nothing to repair"))
    failing = _names(payload, "failing", "ids", "tests", "red")
    kind, said = _text(payload, "exception"), _first_line(payload)
    what = said if kind and said.startswith(kind) else ": ".join(part for part in (kind, said) if part)
    others = f"{len(failing)} tests fail" if len(failing) > 1 else ""
    return Told("why", _join(what or _text(payload, "reason") or _few(failing), _deepest(payload), others))


def _first_line(payload: Payload) -> str:
    return next((line.strip() for line in _text(payload, "message").splitlines() if line.strip()), "")


def _deepest(payload: Payload) -> str:
    """Where it fails: the innermost of ``frames`` ([path, line, function] each), or the fields of ``frame``."""
    frames = payload.get("frames")
    if isinstance(frames, list | tuple) and frames and isinstance(frames[-1], list | tuple) and len(frames[-1]) == 3:
        path, line, function = frames[-1]
        return f"{path}:{line} in {function}()"
    frame = payload.get("frame")
    return _place(frame if isinstance(frame, dict) else payload)


def _localised(payload: Payload, entry: Entry) -> Told:
    lines = _number(payload, "executed", "lines")
    found: list[object] = next(
        (list(payload[n]) for n in ("places", "suspicious") if isinstance(payload.get(n), list | tuple)), []
    )
    spots = [_spot(item) for item in found]
    head = count(lines, "executed line") if lines is not None else ""
    counts = ", ".join(part for part in (head, f"{len(spots)} suspicious") if part)
    return Told("localise", counts + _colon(_few(spots)))


def _spot(item: object) -> str:
    """``path:line (0.92)`` of [path, line, basis points, ...] or of an object with these fields."""
    if isinstance(item, dict):
        score, where = _number(item, "score_bp", "score"), _place(item)
    elif isinstance(item, list | tuple) and len(item) >= 2:
        score, where = item[2] if len(item) > 2 and isinstance(item[2], int) else None, f"{item[0]}:{item[1]}"
    else:
        score, where = None, str(item)
    return where + (f" ({score / 10_000:.2f})" if score is not None else "")


def _colon(text: str) -> str:
    return f": {text}" if text else ""


def _infilled(payload: Payload, entry: Entry) -> Told:
    made = _number(payload, "infills", "candidates") or 0
    distinct = _number(payload, "distinct")
    extra = f", {distinct} distinct" if distinct is not None else ""
    wave = _text(payload, "wave")
    return Told("infill", f"{count(made, 'candidate')}{_took(payload)}{extra}" + (f" ({wave})" if wave else ""))


def _tested(payload: Payload, entry: Entry) -> Told:
    tested, green = _number(payload, "tested") or 0, _number(payload, "green") or 0
    turned = "none turns the test green" if not green else f"{green} {'turns' if green == 1 else 'turn'} the test green"
    partial = _number(payload, "partial") or 0
    some = f", {partial} {'mends' if partial == 1 else 'mend'} a part" if partial and not green else ""
    what = {"moves": "small edits tested", "together": "combinations tested"}.get(_text(payload, "wave"), "tested")
    return Told("try", f"{tested} {what}{_took(payload)}, {turned}{some}", Role.GOOD if green else Role.PLAIN)


def _branched(payload: Payload, entry: Entry) -> Told:
    where, mended = f"{_text(payload, 'path')}:{_number(payload, 'line') or 0}", _number(payload, "mended") or 0
    left = count(_number(payload, "left") or 0, "test")
    return Told("keep", f"a change at {where} mends {count(mended, 'test')}; {left} left, searched from there")


def _compared(payload: Payload, entry: Entry) -> Told:
    repairs, inputs = _number(payload, "repairs") or 0, count(_number(payload, "inputs") or 0, "input")
    examples, problem = payload.get("examples"), _text(payload, "problem")
    if problem:
        return Told("compare", f"{repairs} repairs pass, and could not be compared: {problem}")
    if not (isinstance(examples, list | tuple) and examples):
        return Told("compare", f"{repairs} repairs pass, and do the same with {inputs} that no test gives")
    asked, said, other = examples[0]
    differ = f"{repairs} repairs pass, and differ where no test looks: {asked} {said}, or {other}"
    return Told("compare", differ, Role.WARN)


def _generated(payload: Payload, entry: Entry) -> Told:
    what = _few(_names(payload, "paths", "files")) or _text(payload, "reason")
    return Told("propose", _join(what, _text(payload, "rationale"), _text(payload, "strategy")))


def _proven(payload: Payload, entry: Entry) -> Told | None:
    """How well tests prove a change, once they have run on it."""
    proof = _text(payload, "evidence")
    return Told("evidence", proof) if proof else None


def _validated(payload: Payload, entry: Entry) -> Told:
    passed, total = _number(payload, "passed"), _number(payload, "total", "collected")
    counts = f"{passed}/{total} passed{_took(payload)}" if passed is not None and total is not None else ""
    status, newly_red, flaky = _text(payload, "status"), _names(payload, "newly_red"), _names(payload, "flaky")
    good = status in ("", "green", "red") and not newly_red  # red before and after is not this change's doing
    told = _join(
        counts or status,
        _SCOPES.get(_text(payload, "scope"), ""),
        f"newly red: {_few(newly_red)}" if newly_red else "",
        f"flaky: {_few(flaky)}" if flaky else "",
        "" if good else _text(payload, "reason"),
    )
    label = "verify" if entry.phase is State.VERIFY else "validate"
    return Told(label, told, Role.PLAIN if good else Role.WARN)


def _closure(payload: Payload, entry: Entry) -> Told:
    if payload.get("closed") is True:
        return Told("closure", "the signal is gone", Role.GOOD)
    return Told("closure", _join("the signal is still there", _text(payload, "reason")), Role.WARN)


def _gates(payload: Payload, entry: Entry) -> Told:
    """All gates of one candidate; every rule that says no is named, the first ones with what they say."""
    found = payload.get("verdicts")
    verdicts = [v for v in found if isinstance(v, dict)] if isinstance(found, list) else []
    against = [v for v in verdicts if _text(v, "decision") in ("deny", "repair")]
    reasons: dict[str, str] = {}
    for verdict in against:
        reasons.setdefault(_text(verdict, "rule"), _text(verdict, "reason"))
    rules = list(reasons)
    named = "; ".join([*(f"{rule}{_colon(reasons[rule])}" for rule in rules[:3]), *rules[3:]])
    passed = f"{len(verdicts) - len(against)}/{len(verdicts)}"
    return Told("gates", _join(passed, named), Role.BAD if against else Role.PLAIN)


def _gate(payload: Payload, entry: Entry) -> Told | None:
    decision = _text(payload, "decision")
    if decision in ("", "allow"):
        return None
    rule = _text(payload, "rule") or "a rule"
    word = "says no" if decision == "deny" else "asks for a repair"
    return Told(
        "gate", f"{rule} {word}" + _colon(_text(payload, "reason")), Role.BAD if decision == "deny" else Role.WARN
    )


def _marked(payload: Payload, entry: Entry) -> Told:
    where = _few(_names(payload, "evidence"))
    return Told("outside", f"{_text(payload, 'rule')}: text that reads like orders{_colon(where)}", Role.WARN)


def _asked(payload: Payload, entry: Entry) -> Told:
    short = short_of(entry.op_id or "").removeprefix("op-")
    until = _text(payload, "expires_at", "until")
    what = _text(payload, "reason") or "this change needs a person"
    return Told("waits", _join(what, f"until {until}" if until else "", f"ouro approve {short}"), Role.WARN)


def asked_line(text: str, choices: Iterable[str]) -> Told:
    """A model's question, with its choices by number."""
    return Told("asks", _join(text, *(f"{number}) {choice}" for number, choice in enumerate(choices, 1))), Role.WARN)


def _question(payload: Payload, entry: Entry) -> Told:
    told = asked_line(_text(payload, "question"), _names(payload, "choices"))
    short = short_of(entry.op_id or "").removeprefix("op-")
    return Told(told.label, _join(told.text, f'ouro answer {short} "TEXT"'), told.role)


def _replied(payload: Payload, entry: Entry) -> Told:
    said = {
        "answered": _text(payload, "answer"),
        "expired": "nobody answered in time",
        "ended": _text(payload, "reason"),
    }
    return Told("answer", said.get(event_of(entry).partition(".")[2], "the question is withdrawn"))


def _decided(payload: Payload, entry: Entry) -> Told:
    word = event_of(entry).partition(".")[2]
    role = Role.GOOD if word == "approved" else Role.BAD
    rule = _text(payload, "rule") if word == "expired" else ""  # a person's own answer needs no rule
    return Told("answer", _join(word, _text(payload, "by"), _text(payload, "reason"), rule), role)


def _notified(payload: Payload, entry: Entry) -> Told:
    short = short_of(entry.op_id or "").removeprefix("op-")
    delay = f"applied in {_number(payload, 'delay_s') or 0} s unless cancelled: ouro cancel {short}"
    return Told("notice", _join(delay, _text(payload, "reason")), Role.WARN)


def _landing(payload: Payload, entry: Entry) -> Told | None:
    if _text(payload, "mode") in ("", "branch"):
        return None
    ref = _text(payload, "ref").removeprefix("refs/heads/")
    return Told("lands", _join(f"{_text(payload, 'mode')} {ref}".strip(), _text(payload, "reason")), Role.WARN)


def _rolled_back(payload: Payload, entry: Entry) -> Told:
    kept = _names(payload, "kept")
    left = f"left as you have them: {_few(kept)}" if kept else ""
    return Told("back", _join("the change is taken back", _text(payload, "rule", "reason"), left), Role.WARN)


def _committed(payload: Payload, entry: Entry) -> Told | None:
    """The terminal entry tells of an ordinary commit; here only what the owner has to know besides."""
    note = _text(payload, "note")
    return Told("note", note, Role.WARN) if note else None


def _terminal(payload: Payload, entry: Entry) -> Told:
    state = _text(payload, "to", "state") or (entry.phase.value if entry.phase else "")
    reason = _text(payload, "reason")
    short = short_of(entry.op_id or "").removeprefix("op-")
    took = _number(payload, "ms")
    tail = [duration(took) if took is not None else duration(entry.spend.working_ms) if entry.spend.working_ms else ""]
    tail += [money(entry.spend.usd_micro) if entry.spend.usd_micro else "", f"ledger {entry.seq}"]
    if state == State.COMPLETE.value:
        commit, ref = _text(payload, "commit")[:7], _text(payload, "branch", "ref").removeprefix("refs/heads/")
        done = f"committed {commit}" if commit else reason or "complete"
        where = f" on {ref}" if commit and ref else ""
        signed = ", signed" if commit and payload.get("signed", True) else ""
        then = f"{TAKE_IT} {ref}" if ref.startswith(REVIEW) else f"undo: ouro undo {short}"
        return Told("done", _join(f"{done}{where}{signed}", *tail, then), Role.GOOD)
    if state == State.NOOP.value:
        return Told("nothing", _join(reason or "the goal is met already", *tail))
    if reason.startswith(STOPPED) and _text(payload, "root_cause") == RootCause.CRASH_RECOVERED.value:
        where = _text(payload, "failed_phase", "origin")
        told = f"the daemon was stopped during {where or 'this op'}: it goes on at the next start"
        return Told("stopped", _join(told, *tail), Role.WARN)
    cause = _text(payload, "root_cause").replace("_", " ")
    label = {"CANCELLED": "cancelled", "BLOCKED": "refused"}.get(state, "failed")
    told = _join(reason or state, f"cause: {cause}" if cause and cause != "none" else "", *tail, f"ouro show {short}")
    return Told(label, told, Role.BAD)


def _called(payload: Payload, entry: Entry) -> Told | None:
    """A call that went as calls do is silent here."""
    role = Role.WARN if calls.collapsed(payload) else Role.PLAIN
    return Told("model", calls.told(payload), role) if calls.worth_telling(payload) else None


def _near(payload: Payload, entry: Entry) -> Told:
    """What the grounding policy makes of an answer that is not calm."""
    asked = payload.get("asked")
    asked = asked if isinstance(asked, dict) else {}
    said = _join(
        _text(payload, "purpose"), calls.canary(_number(payload, "proximity_milli") or 0, payload.get("signal"))
    )
    if payload.get("discarded") is True:
        return Told("canary", f"{said} · collapsed: it is discarded", Role.WARN)
    left, sources = (_number(asked, "budget_scale_milli") or 0) // 10, _number(asked, "min_sources") or 0
    return Told("canary", f"{said} · {left} % of its time is left, {count(sources, 'source')} needed", Role.WARN)


def _regrounded(payload: Payload, entry: Entry) -> Told:
    before, after = _names(payload, "before"), _names(payload, "after")
    number, most = _number(payload, "number") or 0, _number(payload, "most") or 0
    near, why = _number(payload, "proximity_milli") or 0, "too few sources"
    if number:
        why = f"{number} of {most} behind a collapse ({calls.canary(near, payload.get('signal'))})"
    tests = _text(payload, "tests")
    again = f"the failing tests again: {tests}" if tests else ""
    fresh = f"{count(len(before), 'source')} before, {len(after)} now: {_few(after, 6)}"
    return Told("reground", _join(why, fresh, again, "asked afresh"), Role.WARN)


def _stands(payload: Payload, entry: Entry) -> Told | None:
    """Enough ground is no news."""
    stand = _text(payload, "stand")
    if stand in ("", "act"):
        return None
    then = "looks again" if stand == "reground" else "a person is asked"
    return Told("ground", _join(_text(payload, "why"), then), Role.WARN)


def _talked(payload: Payload, entry: Entry) -> Told | None:
    """A conversation that ended with its answer is silent here."""
    end = _text(payload, "end")
    if end in ("", "answer"):
        return None
    turns, made = count(_number(payload, "rounds") or 0, "round"), count(_number(payload, "calls") or 0, "call")
    return Told(
        "talk", _join(f"ended without an answer: {end}", f"{turns}, {made}", _text(payload, "problem")), Role.WARN
    )


def _ignored(payload: Payload, entry: Entry) -> Told:
    number = count(_number(payload, "calls") or 0, "call")
    return Told("talk", f"{number} not run in round {_number(payload, 'round') or 0}", Role.WARN)


def _circling(payload: Payload, entry: Entry) -> Told | None:
    """The nudge of every last round is no news."""
    why = _text(payload, "why")
    return Told("talk", f"told to do something else: {why}", Role.WARN) if why.startswith("stuck") else None


def _compacted(payload: Payload, entry: Entry) -> Told:
    gone = count(_number(payload, "results") or 0, "earlier result")
    sizes = f"{_number(payload, 'before') or 0} characters become {_number(payload, 'after') or 0}"
    return Told("talk", f"{gone} left out of the prompt, {sizes}")


def _plain(label: str, *names: str) -> Callable[[Payload, Entry], Told]:
    def teller(payload: Payload, entry: Entry) -> Told:
        return Told(label, _join(*(_text(payload, name) for name in names)))

    return teller


_TELLERS: Mapping[str, Callable[[Payload, Entry], Told | None]] = {
    "reproduced": _red,
    "localised": _localised,
    "infilled": _infilled,
    "candidates.tested": _tested,
    "branched": _branched,
    "compared": _compared,
    "candidate": _generated,
    "tier.assigned": _proven,
    "planned": _plain("plan", "approach", "failed"),
    "validated": _validated,
    "closure": _closure,
    "gates": _gates,
    "gate": _gate,
    "outside.marked": _marked,
    "approval.requested": _asked,
    "approval.notified": _notified,
    "question.asked": _question,
    "question.answered": _replied,
    "question.expired": _replied,
    "question.withdrawn": _replied,
    "question.ended": _replied,
    "approval.approved": _decided,
    "approval.rejected": _decided,
    "approval.expired": _decided,
    "landing.chosen": _landing,
    "change.rolling_back": _rolled_back,
    "committed": _committed,
    "change.recovered": _plain("recover", "outcome", "detail", "reason"),
    "undone": _plain("undone", "commit"),
    "review.merged": _plain("merged", "branch"),
    "review.rejected": _plain("refused", "branch"),
    "call.ended": _called,
    "grounding.decided": _near,
    "grounding.judged": _stands,
    "regrounded": _regrounded,
    "loop.ended": _talked,
    "loop.nudged": _circling,
    "loop.ignored": _ignored,
    "loop.compacted": _compacted,
    "loop.sent_back": _plain("talk", "why"),
    "loop.unreadable": _plain("talk", "fault"),
    "terminal": _terminal,
}
