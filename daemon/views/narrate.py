"""One ledger entry as one line for a person: a short label and a sentence. Pure.

Events without a line of their own here are bookkeeping: silent in a live block, shown generically by ``ouro log``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import singledispatch

from daemon.views import calls
from daemon.views.text import Role, clean, count, duration, money
from ledger.events.approval import (
    ApprovalAnswered,
    ApprovalExpired,
    ApprovalGiven,
    ApprovalNotified,
    ApprovalRequested,
    QuestionAnswered,
    QuestionAsked,
    QuestionClosed,
    QuestionDropped,
    QuestionExpired,
)
from ledger.events.change import (
    ChangeRecovered,
    ChangeRollingBack,
    CommitMade,
    LandingCause,
    LandingChosen,
    ReviewMerged,
    ReviewRejected,
    UndoMade,
)
from ledger.events.check import CandidateTested, ClosureChecked, GateJudged, GatesJudged, InjectionMarked
from ledger.events.event import TAGS, LedgerEvent, read_event
from ledger.events.model import (
    LAST_ROUND,
    CallEnded,
    GroundJudged,
    LoopAnswerSentBack,
    LoopAnswerUnreadable,
    LoopCallsIgnored,
    LoopCompacted,
    LoopEnded,
    LoopNudged,
    ProximityJudged,
    Regrounded,
)
from ledger.events.op import CandidateProposed, OpEnded, PlanMade, TierAssigned
from ledger.events.repair import (
    FailureReproduced,
    FaultLocalised,
    HolesInfilled,
    PartialRepairKept,
    RepairsCompared,
    VariantsTested,
)
from ledger.ids import core_of, short_id
from ledger.vocabulary import Decision, Entry, OpOutcome, Phase, RootCause, RunStatus

LABEL_WIDTH = 9
REVIEW = "ouro/review/"
TAKE_IT = "take it: git merge"
_SCOPES = {"failing": "the failing tests", "affected": "affected tests", "suite": "whole suite", "closure": "closure"}


@dataclass(frozen=True, slots=True)
class EventLine:
    """The line of one entry. ``label`` is a word such as "why" or "done"."""

    label: str
    text: str
    role: Role = Role.PLAIN

    def __str__(self) -> str:
        return f"{self.label:<{LABEL_WIDTH}} {self.text}".rstrip()


def narrate(entry: Entry) -> str | None:
    """The line of ``entry`` in the block of its op; None when it has nothing new for a person."""
    told = format_entry(entry)
    return None if told is None else str(told)


def format_entry(entry: Entry) -> EventLine | None:
    """Like :func:`narrate`, as label, text and role."""
    return format_event(read_event(entry), entry)


def format_event(event: LedgerEvent, entry: Entry) -> EventLine | None:
    """Like :func:`format_entry`, for an entry whose event was read."""
    told = _line(event, entry)
    return None if told is None else EventLine(told.label, clean(told.text), told.role)


def describe(entry: Entry) -> str:
    """One line for any entry, for the log: never silent."""
    event = read_event(entry)
    told = format_event(event, entry)
    if told is not None:
        return f"{told.label}: {told.text}"
    if isinstance(event, CallEnded):
        return clean(f"model: {calls.format_call(event)}")
    plain = [f"{key} {value}" for key, value in entry.payload.items() if key != TAGS[0] and _is_short(value)]
    return clean(" · ".join([str(entry.payload.get(TAGS[0]) or entry.kind.value), *plain[:4]]))


def touches_own_work(event: LedgerEvent) -> bool:
    """True when a change goes to a review branch because the owner's files are not committed."""
    return isinstance(event, LandingChosen) and event.cause in (LandingCause.OWN_WORK, LandingCause.SNAPSHOT)


def careful(told: EventLine) -> EventLine:
    """The same end, worded for when git would refuse to merge over the owner's uncommitted files."""
    return EventLine(
        told.label, told.text.replace(TAKE_IT, f"commit or stash your own changes, then {TAKE_IT}"), told.role
    )


def short_of(op_id: str) -> str:
    """``op-1a2b3c`` for a full op id; the id itself when it has another shape."""
    try:
        return f"op-{short_id(op_id)}" if len(core_of(op_id)) == 32 else op_id
    except IndexError:
        return op_id


def _reference(entry: Entry) -> str:
    """The op of an entry as it is typed after a command."""
    return short_of(entry.op_id or "").removeprefix("op-")


def _is_short(value: object) -> bool:
    return isinstance(value, str | int) and 0 < len(str(value)) <= 60


def _few(items: Sequence[str], limit: int = 3) -> str:
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def _took(ms: int | None) -> str:
    return "" if ms is None else f" in {duration(ms)}"


def _join(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _colon(text: str) -> str:
    return f": {text}" if text else ""


@singledispatch
def _line(event: LedgerEvent, entry: Entry) -> EventLine | None:
    """The line of an event; None for bookkeeping."""
    return None


@_line.register
def _reproduced(event: FailureReproduced, entry: Entry) -> EventLine:
    if event.status is RunStatus.GREEN:
        return EventLine("why", "the test is green at this commit: " + (event.reason or "nothing to repair"))
    message = next((line.strip() for line in event.message.splitlines() if line.strip()), "")
    repeated = event.exception and message.startswith(event.exception)
    what = message if repeated else ": ".join(part for part in (event.exception, message) if part)
    path, line, function = event.frames[-1] if event.frames else ("", 0, "")
    where = f"{path}:{line} in {function}()" if path else ""
    others = f"{len(event.failing)} tests fail" if len(event.failing) > 1 else ""
    return EventLine("why", _join(what or event.reason or _few(event.failing), where, others))


@_line.register
def _localised(event: FaultLocalised, entry: Entry) -> EventLine:
    spots = [f"{path}:{line} ({score / 10_000:.2f})" for path, line, score, _ in event.places]
    return EventLine(
        "localise", f"{count(event.lines, 'executed line')}, {len(spots)} suspicious" + _colon(_few(spots))
    )


@_line.register
def _infilled(event: HolesInfilled, entry: Entry) -> EventLine:
    extra = f", {event.distinct} distinct" if event.distinct is not None else ""
    wave = f" ({event.wave})" if event.wave else ""
    return EventLine("infill", f"{count(event.infills, 'candidate')}{_took(event.ms)}{extra}{wave}")


@_line.register
def _tested(event: VariantsTested, entry: Entry) -> EventLine:
    green, partial = event.green, event.partial
    turned = "none turns the test green" if not green else f"{green} {'turns' if green == 1 else 'turn'} the test green"
    some = f", {partial} {'mends' if partial == 1 else 'mend'} a part" if partial and not green else ""
    what = {"moves": "small edits tested", "together": "combinations tested"}.get(event.wave, "tested")
    return EventLine(
        "try", f"{event.tested} {what}{_took(event.ms)}, {turned}{some}", Role.GOOD if green else Role.PLAIN
    )


@_line.register
def _branched(event: PartialRepairKept, entry: Entry) -> EventLine:
    mended, left = count(event.mended, "test"), count(event.left, "test")
    return EventLine("keep", f"a change at {event.path}:{event.line} mends {mended}; {left} left, searched from there")


@_line.register
def _compared(event: RepairsCompared, entry: Entry) -> EventLine:
    if event.problem:
        return EventLine("compare", f"{event.repairs} repairs pass, and could not be compared: {event.problem}")
    if not event.examples:
        inputs = count(event.inputs, "input")
        return EventLine("compare", f"{event.repairs} repairs pass, and do the same with {inputs} that no test gives")
    call, result, other = event.examples[0]
    differ = f"{event.repairs} repairs pass, and differ where no test looks: {call} {result}, or {other}"
    return EventLine("compare", differ, Role.WARN)


@_line.register
def _proposed(event: CandidateProposed, entry: Entry) -> EventLine:
    return EventLine("propose", _join(_few(event.paths), event.rationale, event.strategy))


@_line.register
def _proven(event: TierAssigned, entry: Entry) -> EventLine | None:
    """How well tests prove a change, once they have run on it."""
    return EventLine("evidence", event.evidence) if event.evidence else None


@_line.register
def _planned(event: PlanMade, entry: Entry) -> EventLine:
    return EventLine("plan", _join(event.approach, event.failed))


@_line.register
def _validated(event: CandidateTested, entry: Entry) -> EventLine:
    good = (
        event.status in (RunStatus.GREEN, RunStatus.RED) and not event.newly_red
    )  # red before and after: not its fault
    told = _join(
        f"{event.passed}/{event.total} passed{_took(event.duration_ms)}",
        _SCOPES[event.scope],
        f"newly red: {_few(event.newly_red)}" if event.newly_red else "",
        f"flaky: {_few(event.flaky)}" if event.flaky else "",
        "" if good else event.reason,
    )
    label = "verify" if entry.phase is Phase.VERIFY else "validate"
    return EventLine(label, told, Role.PLAIN if good else Role.WARN)


@_line.register
def _closure(event: ClosureChecked, entry: Entry) -> EventLine:
    if event.closed:
        return EventLine("closure", "the signal is gone", Role.GOOD)
    return EventLine("closure", _join("the signal is still there", event.reason), Role.WARN)


@_line.register
def _gates(event: GatesJudged, entry: Entry) -> EventLine:
    """All gates of one candidate; every rule that refuses is named, the first ones with their reason."""
    against = [verdict for verdict in event.verdicts if verdict.decision is not Decision.ALLOW]
    reasons: dict[str, str] = {}
    for verdict in against:
        reasons.setdefault(verdict.rule, verdict.reason)
    rules = list(reasons)
    named = "; ".join([*(f"{rule}{_colon(reasons[rule])}" for rule in rules[:3]), *rules[3:]])
    passed = f"{len(event.verdicts) - len(against)}/{len(event.verdicts)}"
    return EventLine("gates", _join(passed, named), Role.BAD if against else Role.PLAIN)


@_line.register
def _gate(event: GateJudged, entry: Entry) -> EventLine | None:
    if event.decision is Decision.ALLOW:
        return None
    denied = event.decision is Decision.DENY
    word = "says no" if denied else "asks for a repair"
    return EventLine("gate", f"{event.rule} {word}" + _colon(event.reason), Role.BAD if denied else Role.WARN)


@_line.register
def _marked(event: InjectionMarked, entry: Entry) -> EventLine:
    where = _few(event.evidence)
    return EventLine("outside", f"{event.rule}: text that reads like orders{_colon(where)}", Role.WARN)


@_line.register
def _requested(event: ApprovalRequested, entry: Entry) -> EventLine:
    what = event.reason or "this change needs a person"
    until = f"until {event.expires_at}" if event.expires_at else ""
    change = f" {event.change}" if event.number > 1 else ""
    return EventLine("waits", _join(what, until, f"ouro approve {_reference(entry)}{change}"), Role.WARN)


def asked_line(text: str, choices: Iterable[str]) -> EventLine:
    """A model's question, with its choices by number."""
    return EventLine(
        "asks", _join(text, *(f"{number}) {choice}" for number, choice in enumerate(choices, 1))), Role.WARN
    )


@_line.register
def _question(event: QuestionAsked, entry: Entry) -> EventLine:
    told = asked_line(event.question, event.choices)
    return EventLine(told.label, _join(told.text, f'ouro answer {_reference(entry)} "TEXT"'), told.role)


@_line.register
def _question_closed(event: QuestionClosed, entry: Entry) -> EventLine:
    if isinstance(event, QuestionAnswered):
        return EventLine("answer", event.answer)
    if isinstance(event, QuestionDropped):
        return EventLine("answer", event.reason)
    return EventLine(
        "answer", "nobody answered in time" if isinstance(event, QuestionExpired) else "the question is withdrawn"
    )


@_line.register
def _answered(event: ApprovalAnswered, entry: Entry) -> EventLine:
    role = Role.GOOD if isinstance(event, ApprovalGiven) else Role.BAD
    rule = event.rule if isinstance(event, ApprovalExpired) else ""  # a person's own answer needs no rule
    return EventLine("answer", _join(event.word, event.by, event.reason, rule), role)


@_line.register
def _notified(event: ApprovalNotified, entry: Entry) -> EventLine:
    delay = f"applied in {event.delay_s} s unless cancelled: ouro cancel {_reference(entry)}"
    return EventLine("notice", _join(delay, event.reason), Role.WARN)


@_line.register
def _landing(event: LandingChosen, entry: Entry) -> EventLine | None:
    if event.mode == "branch":
        return None
    return EventLine(
        "lands", _join(f"{event.mode} {event.ref.removeprefix('refs/heads/')}".strip(), event.reason), Role.WARN
    )


@_line.register
def _rolling_back(event: ChangeRollingBack, entry: Entry) -> EventLine:
    return EventLine("back", _join("the change is taken back", event.rule), Role.WARN)


@_line.register
def _committed(event: CommitMade, entry: Entry) -> EventLine | None:
    """What the owner has to know besides the terminal entry, which shows an ordinary commit."""
    return EventLine("note", event.note, Role.WARN) if event.note else None


@_line.register
def _recovered(event: ChangeRecovered, entry: Entry) -> EventLine:
    return EventLine("recover", _join(event.outcome, event.detail))


@_line.register
def _undone(event: UndoMade, entry: Entry) -> EventLine:
    return EventLine("undone", event.commit)


@_line.register
def _merged(event: ReviewMerged, entry: Entry) -> EventLine:
    return EventLine("merged", event.branch)


@_line.register
def _refused(event: ReviewRejected, entry: Entry) -> EventLine:
    return EventLine("refused", event.branch)


@_line.register
def _ended(event: OpEnded, entry: Entry) -> EventLine:
    short = _reference(entry)
    took = event.ms if event.ms is not None else entry.spend.working_ms or None
    tail = ["" if took is None else duration(took)]
    tail += [money(entry.spend.usd_micro) if entry.spend.usd_micro else "", f"ledger {entry.seq}"]
    if event.to is OpOutcome.COMPLETE:
        commit, ref = (event.commit or "")[:7], (event.ref or "").removeprefix("refs/heads/")
        done = f"committed {commit}" if commit else event.reason or "complete"
        where = f" on {ref}" if commit and ref else ""
        signed = ", signed" if commit else ""
        then = f"{TAKE_IT} {ref}" if ref.startswith(REVIEW) else f"undo: ouro undo {short}"
        return EventLine("done", _join(f"{done}{where}{signed}", *tail, then), Role.GOOD)
    if event.to is OpOutcome.NOOP:
        return EventLine("nothing", _join(event.reason or "the goal is met already", *tail))
    if event.root_cause is RootCause.CRASH_RECOVERED and not event.recovered:  # by a clean stop
        where = event.failed_phase or event.origin or "this op"
        told = f"the daemon was stopped during {where}: it goes on at the next start"
        return EventLine("stopped", _join(told, *tail), Role.WARN)
    cause = "" if event.root_cause is RootCause.NONE else f"cause: {event.root_cause.value.replace('_', ' ')}"
    label = {OpOutcome.CANCELLED: "cancelled", OpOutcome.BLOCKED: "refused"}.get(event.to, "failed")
    return EventLine(label, _join(event.reason or event.to.value, cause, *tail, f"ouro show {short}"), Role.BAD)


@_line.register
def _called(event: CallEnded, entry: Entry) -> EventLine | None:
    """An ordinary call is silent here."""
    role = Role.WARN if calls.is_collapse(event) else Role.PLAIN
    return EventLine("model", calls.format_call(event), role) if calls.is_notable(event) else None


@_line.register
def _near(event: ProximityJudged, entry: Entry) -> EventLine:
    """The grounding policy's decision on an answer of raised proximity."""
    said = _join(event.purpose, calls.canary(event.proximity_milli, event.signal))
    if event.discarded:
        return EventLine("canary", f"{said} · collapsed: it is discarded", Role.WARN)
    left, sources = event.asked.get("budget_scale_milli", 0) // 10, event.asked.get("min_sources", 0)
    return EventLine("canary", f"{said} · {left} % of its time is left, {count(sources, 'source')} needed", Role.WARN)


@_line.register
def _regrounded(event: Regrounded, entry: Entry) -> EventLine:
    why = "too few sources"
    if event.number:
        near = calls.canary(event.proximity_milli, event.signal)
        why = f"{event.number} of {event.most} behind a collapse ({near})"
    again = f"the failing tests again: {event.tests}" if event.tests else ""
    fresh = f"{count(len(event.before), 'source')} before, {len(event.after)} now: {_few(event.after, 6)}"
    return EventLine("reground", _join(why, fresh, again, "asked afresh"), Role.WARN)


@_line.register
def _ground(event: GroundJudged, entry: Entry) -> EventLine | None:
    """Enough ground is no news."""
    if event.stand in ("", "act"):
        return None
    then = "looks again" if event.stand == "reground" else "a person is asked"
    return EventLine("ground", _join(event.why, then), Role.WARN)


@_line.register
def _loop_ended(event: LoopEnded, entry: Entry) -> EventLine | None:
    """A conversation that ended with its answer is silent here."""
    if event.end == "answer":
        return None
    size = f"{count(event.rounds, 'round')}, {count(event.calls, 'call')}"
    return EventLine("talk", _join(f"ended without an answer: {event.end}", size, event.problem), Role.WARN)


@_line.register
def _ignored(event: LoopCallsIgnored, entry: Entry) -> EventLine:
    return EventLine("talk", f"{count(event.calls, 'call')} not run in round {event.round}", Role.WARN)


@_line.register
def _nudged(event: LoopNudged, entry: Entry) -> EventLine | None:
    """The nudge of every last round is no news."""
    if event.why == LAST_ROUND:
        return None
    return EventLine("talk", f"told to do something else: {event.why}", Role.WARN)


@_line.register
def _sent_back(event: LoopAnswerSentBack, entry: Entry) -> EventLine:
    return EventLine("talk", event.why)


@_line.register
def _unreadable(event: LoopAnswerUnreadable, entry: Entry) -> EventLine:
    return EventLine("talk", event.fault)


@_line.register
def _compacted(event: LoopCompacted, entry: Entry) -> EventLine:
    gone = count(event.results, "earlier result")
    return EventLine("talk", f"{gone} left out of the prompt, {event.before} characters become {event.after}")
