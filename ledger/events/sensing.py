"""What sensors and webhooks record: runs of the suite, emitted signals, deliveries, wishes of the owner."""

from __future__ import annotations

from ledger.events.event import Json, LedgerEvent
from ledger.vocabulary import Decision, EntryKind, RunStatus, Verdict


class SuiteRun(LedgerEvent, kind=EntryKind.RUN, name="run"):
    """One run of tests. ``asked``: number of selected tests, None for the whole suite; ``red``: ids of failed tests."""

    sensor: str = ""
    commit: str
    asked: int | None
    status: RunStatus
    reason: str = ""
    collected: int = 0
    red: tuple[str, ...] = ()
    duration_ms: int = 0


class SuiteResultKnown(LedgerEvent, kind=EntryKind.RUN, name="known"):
    """The suite's result at a commit, written after everything that follows from it (signals) was done."""

    sensor: str
    commit: str
    green: bool
    red: tuple[str, ...]
    flaky: tuple[str, ...]
    collected: int


class SuiteRunCompared(LedgerEvent, kind=EntryKind.RUN, name="compared"):
    """A run at an earlier commit: shows whether a suite that gives no result at HEAD still gave one there."""

    sensor: str
    commit: str
    status: RunStatus
    reason: str
    collected: int
    duration_ms: int


class SensorStopped(LedgerEvent, kind=EntryKind.SESSION, name="sensor_stopped"):
    sensor: str
    error: str


class SignalEmitted(LedgerEvent, kind=EntryKind.SESSION, name="sensor_said"):
    sensor: str
    key: str
    signal: str
    status: str


class FilesScanned(LedgerEvent, kind=EntryKind.SESSION, name="sensor_looked"):
    """``again``: number of files that are due for another scan later."""

    sensor: str
    commit: str
    files: int
    again: int


class ContractsAgreed(LedgerEvent, kind=EntryKind.SESSION, name="sides_agree"):
    """Both copies of a contract between repositories are equal. ``pair``: its name; ``digest``: hash of the content."""

    sensor: str
    pair: str
    digest: str


class MetricsTaken(LedgerEvent, kind=EntryKind.SESSION, name="metrics_taken"):
    """New measurements of performance were stored. ``known``: number of samples stored before."""

    sensor: str
    new: int
    commits: tuple[str, ...]
    known: int


class ScheduleSettled(LedgerEvent, kind=EntryKind.SESSION, name="schedule_settled"):
    """A schedule was evaluated ``until`` a time. ``due``: when it was due, or empty; ``what``: what was done."""

    name: str
    cron: str
    tz: str
    until: str
    due: str
    what: str
    signal: str


class GapSeen(LedgerEvent, kind=EntryKind.SESSION, name="gap.seen", version=2):
    """Capability gaps that an op met, and those that it closes. Version 1 had ``goal_class`` as ``class``."""

    op: str
    goal_class: str
    met: tuple[str, ...]
    served: tuple[str, ...]

    @classmethod
    def upgrade(cls, fields: Json, version: int) -> Json:
        return {**fields, "goal_class": fields.get("class")}


class GapReported(LedgerEvent, kind=EntryKind.SESSION, name="gap.said"):
    gap: str
    signal: str
    status: str


class IssuePolled(LedgerEvent, kind=EntryKind.SESSION, name="issue.polled"):
    issue: str
    action: str
    blob: str = ""


class IssueJudged(LedgerEvent, kind=EntryKind.VERDICT, name="issue.judged"):
    """Whether an issue becomes work. ``signal``, ``became``: id and intake status of its signal, or empty."""

    issue: str
    action: str
    rule: str
    reason: str
    signal: str
    became: str


class WebhookTaken(LedgerEvent, Verdict, kind=EntryKind.VERDICT, name="webhook.taken"):
    """An accepted delivery. ``facts``: inputs of gate 10; ``news``: a summary; ``blob``: the delivery, if kept."""

    facts: Json | None = None
    news: str = ""
    blob: str = ""


class WebhookRefused(LedgerEvent, Verdict, kind=EntryKind.VERDICT, name="webhook.refused"):
    """``facts``: inputs of gate 10; None when the request was refused before it."""

    gate: int = 10
    decision: Decision = Decision.DENY
    facts: Json | None = None


class WebhookRefusalsCounted(LedgerEvent, kind=EntryKind.VERDICT, name="webhook.refused_more"):
    rule: str
    count: int


class ConversationTurnKept(LedgerEvent, kind=EntryKind.CONTROL, name="conversation.turn"):
    chars: int


class WishAsked(LedgerEvent, kind=EntryKind.CONTROL, name="wish.asked"):
    id: str
    kind: str
    confidence_bp: int
    names: tuple[str, ...]


class WishAnswered(LedgerEvent):
    """The owner's answer to the question whether a wish becomes work."""

    id: str
    reason: str
    signal: str = ""


class WishConfirmed(WishAnswered, kind=EntryKind.CONTROL, name="wish.confirmed"):
    pass


class WishRefused(WishAnswered, kind=EntryKind.CONTROL, name="wish.refused"):
    pass
