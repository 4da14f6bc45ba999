"""Requests and results of the control API: frozen values, without floats, that can be printed as JSON."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from daemon.control.intake_messages import PostureView
from ledger.vocabulary import (
    Complexity,
    Entry,
    FailureClass,
    Frozen,
    OpOutcome,
    RootCause,
    Route,
    Source,
    Spend,
    State,
    Tier,
)
from sensors.requests.replies import Answered as Answered
from sensors.requests.replies import ConversationTurn as ConversationTurn
from sensors.requests.replies import Reply as Reply
from sensors.requests.replies import Utterance as Utterance

LARGEST_SEQ = 2**63 - 1
"""Of the record's numbers: what its database can hold."""

# --- requests -------------------------------------------------------------------------------------------------------


class OpRef(Frozen):
    """An op by its full id, its hex core, or any suffix of it."""

    op: str = Field(min_length=1, max_length=200)


class OpsRequest(Frozen):
    """``all`` includes ops that have ended, newest first, at most ``limit``."""

    all: bool = False
    limit: int = Field(default=50, ge=1, le=1000)


class ApproveRequest(OpRef):
    """``diff``: the name of the change that was seen, or its beginning; needed where the op has asked before."""

    diff: str = Field(default="", max_length=64)


class RejectRequest(OpRef):
    reason: str = Field(default="", max_length=2_000)


class AnswerRequest(OpRef):
    """``op`` may also be the id of a question, or of a wish. A number chooses among the choices."""

    text: str = Field(min_length=1, max_length=2_000)


class SubmitRequest(Frozen):
    """A goal from the owner. Without ``closed_when`` (test ids) the owner's yes is the closure."""

    goal: str = Field(min_length=1, max_length=2_000)
    files: tuple[str, ...] = ()
    closed_when: tuple[str, ...] = ()


class SayRequest(Frozen):
    """Free text of the owner, as typed in the REPL."""

    text: str = Field(min_length=1, max_length=4_000)


class FixRequest(Frozen):
    """Scan now; with ``node_id`` only that test. Not ``asked``: no person waits, recently failed work is left alone."""

    node_id: str | None = Field(default=None, max_length=2_000)
    asked: bool = True


class LogRequest(Frozen):
    """Entries after sequence number ``after`` (None: the newest ``limit``), of one op when ``op`` is set."""

    after: int | None = Field(default=None, ge=0, le=LARGEST_SEQ)
    limit: int = Field(default=100, ge=1, le=1000)
    op: str | None = Field(default=None, max_length=200)


class EventsRequest(Frozen):
    """Events after ledger sequence ``after``; None begins with what happens next."""

    after: int | None = Field(default=None, ge=0, le=LARGEST_SEQ)


# --- results --------------------------------------------------------------------------------------------------------


class Life(StrEnum):
    """Where the service is in its life."""

    INACTIVE = "INACTIVE"
    STARTING = "STARTING"
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"
    STOPPING = "STOPPING"
    FAILED = "FAILED"


class Ack(Frozen):
    """A request was carried out; ``message`` is one sentence for the person."""

    message: str
    op: str | None = None


class Submitted(Frozen):
    """What became of a submitted goal. ``status``: queued, duplicate, suppressed, parked."""

    signal: str
    status: str
    message: str = ""


class Fixing(Frozen):
    """What a scan found. Without signals there is nothing to do; ``message`` describes the result.

    ``known``: something was signalled before. ``waits``: what is red has its repair on a review branch, which waits
    for the owner.
    """

    signals: tuple[str, ...] = ()
    known: bool = False
    waits: bool = False
    message: str = ""


class OpStep(Frozen):
    """One line in the life of an op."""

    at: str  # UTC stamp
    phase: State | None = None
    label: str = ""  # "why", "localise", "infill" ...
    text: str


class QuestionView(Frozen):
    """What a model asks the person."""

    id: str
    text: str
    choices: tuple[str, ...] = ()
    until: str = ""  # when nobody is waited for any longer


class OpView(Frozen):
    """One op as a person sees it. ``steps`` and ``diff`` are empty in lists."""

    id: str
    short: str
    origin: Source
    goal: str
    state: State
    waiting: bool = False  # parked for a person
    tier: Tier | None = None
    route: Route | None = None
    complexity: Complexity | None = None
    targets: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()  # ids that the closure names
    signals: tuple[str, ...] = ()  # ids of the merged signals
    attempt: int = 1
    base: str = ""  # commit it was planned on
    started_at: str = ""
    updated_at: str = ""
    ended_at: str = ""
    waiting_until: str = ""  # when a parked request expires
    asked: int = 0  # how often it has asked for a yes
    change: str = ""  # the name of the change that it asked for last
    question: QuestionView | None = None  # it works on, once that is answered
    spend: Spend = Spend()
    commit: str | None = None
    branch: str | None = None  # where the commit is: the owner's branch or a review branch
    undone_by: str | None = None
    own_work: bool = False  # the owner's uncommitted files are in the way of its review branch
    doing: str = ""  # the last thing that a person was told of it
    root_cause: RootCause = RootCause.NONE
    failure_class: FailureClass = FailureClass.NONE
    reason: str = ""
    ledger_seq: int | None = None
    learned: str = ""  # what became of its claims
    steps: tuple[OpStep, ...] = ()
    diff: str = ""

    @property
    def ended(self) -> bool:
        return isinstance(self.state, OpOutcome)

    @property
    def approval(self) -> str:
        """The command that approves what waits. A second change is named, so that no yes for the first one counts."""
        return f"ouro approve {self.short}" + (f" {self.change}" if self.asked > 1 else "")

    def has_expired(self, now: str) -> bool:
        """True when its time for an answer is over at ``now``; the record may lack the entry until the next boot."""
        if self.root_cause is RootCause.NONE and self.commit is None:
            return bool(self.waiting_until) and self.waiting_until <= now
        return self.root_cause is RootCause.APPROVAL_EXPIRED


class OpsView(Frozen):
    ops: tuple[OpView, ...] = ()
    more: bool = False


class DiffView(Frozen):
    """The unified diff of an op's newest candidate or commit; empty when there is none yet."""

    op: str
    diff: str
    commit: str | None = None


class KernelView(Frozen):
    provider: str
    model: str
    ready: bool
    detail: str = ""  # one sentence, with the remedy when not ready


class SandboxView(Frozen):
    """``name`` is "none" without one; ``unsandboxed`` when the owner allows work without walls."""

    name: str
    held: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unsandboxed: bool = False
    remedy: str = ""


class McpView(Frozen):
    """One MCP server. ``state`` is "connected", or another word with ``reason``; ``left_out``: tool and why.

    ``withheld``: a tool that is offered without its server's description, and the rule.
    """

    name: str
    place: str = ""
    state: str
    about: str = ""
    tools: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    withheld: tuple[tuple[str, str], ...] = ()
    reason: str = ""


class QueueView(Frozen):
    queued: int = 0
    claimed: int = 0
    parked: int = 0
    paused: bool = False
    dead: int = 0
    quarantined: int = 0
    held_back: int = 0  # of the queued: by the governor


class SuiteView(Frozen):
    """The owner's tests as last seen. ``status`` is a RunStatus value, or "unknown" / "running"."""

    status: str = "unknown"
    tests: int = 0
    red: tuple[str, ...] = ()
    commit: str = ""
    at: str = ""
    note: str = ""  # e.g. red only in uncommitted edits


class DayView(Frozen):
    """Today, UTC. A ceiling of None means that none is set."""

    ops: int = 0
    completed: int = 0
    spend: Spend = Spend()
    ceiling_usd_micro: int | None = None


class StatusView(Frozen):
    """Everything that ``ouro status`` and the first line of ``ouro run`` show."""

    state: Life
    reasons: tuple[str, ...] = ()
    version: str
    session: str = ""
    pid: int = 0
    started_at: str = ""
    at: str = ""  # now
    repo: str  # path of the work tree
    branch: str | None = None  # None: detached
    commit: str | None = None
    kernel: KernelView
    sandbox: SandboxView
    mcp: tuple[McpView, ...] = ()
    queue: QueueView = QueueView()
    posture: PostureView | None = None
    suite: SuiteView = SuiteView()
    today: DayView = DayView()
    files_watched: int = 0
    active: tuple[OpView, ...] = ()
    waiting: tuple[OpView, ...] = ()  # approvals that a person has to decide, questions that he is asked
    notes: tuple[str, ...] = ()


class CostLine(Frozen):
    """What one provider and model cost today."""

    provider: str
    model: str
    spend: Spend


class CostView(Frozen):
    today: DayView
    lines: tuple[CostLine, ...] = ()
    ops: tuple[OpView, ...] = ()  # today's, newest first


class PartView(Frozen):
    """One part of the machine. ``level``: NORMAL, ELEVATED, HIGH or CRITICAL."""

    name: str
    level: str
    said: str


class MachineView(Frozen):
    """The machine as the newest of ``samples`` looks saw it; ``lowest`` is the least score of them."""

    state: str = "HEALTHY"  # or STRAINED, DEGRADED, CRITICAL
    score: int = 100
    lowest: int = 100
    samples: int = 0
    parts: tuple[PartView, ...] = ()


class HealthView(Frozen):
    ok: bool
    state: Life
    reasons: tuple[str, ...] = ()
    uptime_s: int = 0
    resident_kb: int = 0  # now
    resident_peak_kb: int = 0  # the most since the process began
    loop_lag_ms: int = 0
    open_files: int = 0
    tasks: int = 0
    ledger_seq: int = 0
    collapses: int = 0  # answers that were discarded, since the process began
    regroundings: int = 0  # how often evidence was gathered afresh
    machine: MachineView = MachineView()


class ConversationView(Frozen):
    """The last turns, oldest first."""

    said: tuple[ConversationTurn, ...] = ()


class LogView(Frozen):
    entries: tuple[Entry, ...] = ()
    head: int = 0  # sequence number of the newest entry there is


class Event(Frozen):
    """One thing that happened. ``cursor`` is the ledger sequence to continue after, also over a restart.

    ``entry`` is a ledger entry; without one ``note`` is a heartbeat line of ``op``, or (``op`` None) plain text for the
    person. ``missed`` counts entries that this subscriber was too slow for, before this one.
    """

    cursor: int
    entry: Entry | None = None
    op: str | None = None
    note: str = ""
    missed: int = 0
