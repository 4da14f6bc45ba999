"""Value types shared by all rooms: signals, operations, candidates, test runs, verdicts, ledger entries.

All types are frozen and reject unknown fields. Nothing here does I/O. Money is in micro-dollars, durations in
milliseconds, confidences in basis points (0..10000), so that every value can be stored as canonical JSON.
Paths are relative to the top of the repository, with ``/`` between components.
"""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, GetCoreSchemaHandler, field_validator, model_validator
from pydantic_core import CoreSchema, core_schema

from ledger.closures import AllReached as AllReached
from ledger.closures import Check as Check
from ledger.closures import Closure as Closure
from ledger.closures import ClosureAnswer as ClosureAnswer
from ledger.closures import DuplicateGone as DuplicateGone
from ledger.closures import FileCheck as FileCheck
from ledger.closures import ItemDone as ItemDone
from ledger.closures import MarkerAbsent as MarkerAbsent
from ledger.closures import MetricBelow as MetricBelow
from ledger.closures import MetricLimit as MetricLimit
from ledger.closures import MetricWithin as MetricWithin
from ledger.closures import OwnerConfirms as OwnerConfirms
from ledger.closures import PageWithout as PageWithout
from ledger.closures import ParametersDocumented as ParametersDocumented
from ledger.closures import Place as Place
from ledger.closures import RunCheck as RunCheck
from ledger.closures import SidesAgree as SidesAgree
from ledger.closures import SuiteAnswers as SuiteAnswers
from ledger.closures import SymbolDocumented as SymbolDocumented
from ledger.closures import SymbolGone as SymbolGone
from ledger.closures import SymbolPinned as SymbolPinned
from ledger.closures import TestsPass as TestsPass
from ledger.closures import TreeCheck as TreeCheck
from ledger.closures import VersionAtLeast as VersionAtLeast
from ledger.closures import VersionSpan as VersionSpan
from ledger.frozen import Frozen as Frozen
from ledger.frozen import inside

SIGNAL_LIMIT_BYTES = 64 * 1024


# --- names ----------------------------------------------------------------------------------------------------------


class OpenName(str):
    """A name from an extensible list. Equal names of a class are one object; a malformed one is a ``ValueError``."""

    __slots__ = ()
    pattern: ClassVar[re.Pattern[str]]
    spelling: ClassVar[str]
    """Description of ``pattern`` for messages."""
    _known: ClassVar[dict[str, Any]]

    def __init_subclass__(cls) -> None:
        cls._known = {}

    def __new__(cls, name: str) -> Self:
        known: Self | None = cls._known.get(name)
        if known is not None:
            return known
        if not cls.pattern.fullmatch(name):
            raise ValueError(f"{name!r} is not a valid {cls.__name__.lower()}: {cls.spelling}, at most 40")
        made: Self = cls._known.setdefault(name, super().__new__(cls, name))
        return made

    @property
    def value(self) -> str:
        return str(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class OpOutcome(StrEnum):
    """How an op ended. COMPLETE is also the eleventh phase; only VERIFY leads to it."""

    COMPLETE = "COMPLETE"
    NOOP = "NOOP"
    POSTMORTEM = "POSTMORTEM"
    CANCELLED = "CANCELLED"
    BLOCKED = "BLOCKED"
    FAILED_PERMANENT = "FAILED_PERMANENT"


class Phase(OpenName):
    """Name of a phase that an op goes through. Those below are built in; a further phase defines its own name."""

    __slots__ = ()
    pattern = re.compile(rf"(?!(?:{'|'.join(OpOutcome)})$)[A-Z][A-Z0-9_]{{0,39}}")
    spelling = "capital letters, digits and underscores, and not an outcome"
    CLASSIFY: ClassVar[Phase]
    ROUTE: ClassVar[Phase]
    CONTEXT_EXPANSION: ClassVar[Phase]
    PLAN: ClassVar[Phase]
    GENERATE: ClassVar[Phase]
    VALIDATE: ClassVar[Phase]
    GATE: ClassVar[Phase]
    APPROVE: ClassVar[Phase]
    APPLY: ClassVar[Phase]
    VERIFY: ClassVar[Phase]


for _name in Phase.__annotations__:
    setattr(Phase, _name, Phase(_name))

State = Phase | OpOutcome
"""The phase of a running op, or the outcome of an ended one."""


class Source(OpenName):
    """Name of the sensor that a signal comes from; ``MANUAL``: a person. Each sensor defines its own name."""

    __slots__ = ()
    pattern = re.compile(r"[a-z][a-z0-9_]{0,39}")
    spelling = "small letters, digits and underscores"
    MANUAL: ClassVar[Source]


Source.MANUAL = Source("manual")


class Tier(IntEnum):
    """Risk tiers; a higher one requires more of a person. Payloads store ``.name``."""

    SAFE_AUTO = 0
    NOTIFY_APPLY = 1
    APPROVAL_REQUIRED = 2
    BLOCKED = 3

    def raised(self, steps: int = 1) -> Tier:
        """A tier ``steps`` higher, at most APPROVAL_REQUIRED: only a rule of its own blocks."""
        return self if self is Tier.BLOCKED else Tier(min(self + steps, Tier.APPROVAL_REQUIRED))


class Urgency(IntEnum):
    """Urgency of a signal or op. Merged signals keep the highest."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    CRITICAL = 3


class Complexity(IntEnum):
    """Complexity of an op, computed at CLASSIFY without a model; a plan can raise it, never lower it."""

    TRIVIAL = 0
    SIMPLE = 1
    MODERATE = 2
    COMPLEX = 3
    ARCHITECTURAL = 4


class Route(StrEnum):
    """Which providers, time limit and target cost an op gets."""

    IMMEDIATE = "IMMEDIATE"
    STANDARD = "STANDARD"
    COMPLEX = "COMPLEX"
    BACKGROUND = "BACKGROUND"
    SPECULATIVE = "SPECULATIVE"


class SourceClass(StrEnum):
    """How the ops of a source are routed."""

    REFLEX = "reflex"
    STANDARD = "standard"
    BACKGROUND = "background"
    SPECULATIVE = "speculative"


class FailureClass(StrEnum):
    """Kind of failure that ended an op."""

    NONE = "none"
    CODE = "code"
    TEST = "test"
    INFRA = "infra"
    PROVIDER = "provider"
    BUDGET = "budget"
    POLICY = "policy"
    COLLAPSE = "collapse"
    USER = "user"
    INTERNAL = "internal"


class RootCause(StrEnum):
    """Cause of a failure, from a closed list; recorded in every terminal entry."""

    NONE = "none"
    BLOCKED_PATH = "blocked_path"
    POLICY_REFUSED = "policy_refused"
    BUDGET_EXHAUSTED = "budget_exhausted"
    NO_CANDIDATE = "no_candidate"
    CANDIDATE_INVALID = "candidate_invalid"
    TESTS_FAILED = "tests_failed"
    CLOSURE_OPEN = "closure_open"
    STALE_BASE = "stale_base"
    APPLY_CONFLICT = "apply_conflict"
    HOOK_REFUSED = "hook_refused"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    PROVIDER_BAD_OUTPUT = "provider_bad_output"
    COLLAPSE = "collapse"
    TIMEOUT = "timeout"
    CANCELLED_BY_OWNER = "cancelled_by_owner"
    APPROVAL_EXPIRED = "approval_expired"
    APPROVAL_REJECTED = "approval_rejected"
    CRASH_RECOVERED = "crash_recovered"
    SANDBOX_MISSING = "sandbox_missing"
    INTERNAL = "internal"


# --- signals --------------------------------------------------------------------------------------------------------


class Evidence(Frozen):
    """A claim, its evidence, and the confidence in it."""

    claim: str
    evidence: str
    confidence_bp: int = Field(ge=0, le=10_000)
    source: str


class Signal(Frozen):
    """What a sensor emits: an observed condition, and the check that finds out whether it is gone."""

    id: str
    source: Source
    goal: str = Field(min_length=1, max_length=2_000)
    targets: tuple[str, ...] = ()
    urgency: Urgency = Urgency.NORMAL
    confidence_bp: int = Field(default=10_000, ge=0, le=10_000)
    evidence: tuple[Evidence, ...] = ()
    key: str = Field(pattern=r"^[0-9a-f]{64}$")
    closure: Closure
    base: str  # commit at which the condition was seen
    snapshot: str | None = None  # a commit made of uncommitted files; its repairs go to a branch on it
    depth: int = Field(default=0, ge=0)  # number of daemon commits in its chain of causes
    boot: str = ""  # id of the daemon's boot; signals of different boots never merge
    seen_at: str = ""  # UTC stamp

    @field_validator("targets")
    @classmethod
    def _relative(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(inside, value))

    @model_validator(mode="after")
    def _bounded(self) -> Signal:
        if len(self.model_dump_json().encode()) > SIGNAL_LIMIT_BYTES:
            raise ValueError(f"a signal may have at most {SIGNAL_LIMIT_BYTES} bytes")
        return self


# --- operations -----------------------------------------------------------------------------------------------------


class Spend(Frozen):
    """What an op (or a call) has cost so far."""

    usd_micro: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    calls: int = 0
    working_ms: int = 0

    def plus(self, other: Spend) -> Spend:
        return Spend(
            usd_micro=self.usd_micro + other.usd_micro,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            calls=self.calls + other.calls,
            working_ms=self.working_ms + other.working_ms,
        )


class Operation(Frozen):
    """One unit of work, from one or several merged signals."""

    id: str
    origin: Source
    signals: tuple[Signal, ...] = Field(min_length=1)
    targets: tuple[str, ...] = ()
    urgency: Urgency
    base: str  # commit that the op is planned on
    created_at: str
    attempt: int = 1

    @property
    def goal(self) -> str:
        """The goals of all merged signals, one sentence each."""
        return " ".join(dict.fromkeys(s.goal for s in self.signals))

    @property
    def tree(self) -> str:
        """The commit whose files the op works on: the snapshot of uncommitted files if there is one, else the base."""
        return next((s.snapshot for s in self.signals if s.snapshot), self.base)

    @property
    def test_ids(self) -> tuple[str, ...]:
        """All test ids named by the closures, in order, without repeats."""
        ids = (i for s in self.signals if isinstance(s.closure, TestsPass) for i in s.closure.ids)
        return tuple(dict.fromkeys(ids))

    @property
    def needs_yes(self) -> str:
        """Why the owner must approve: the first reason among the closure checks; empty if there is none."""
        return next((s.closure.needs_yes for s in self.signals if s.closure.needs_yes), "")

    @property
    def depth(self) -> int:
        return max(s.depth for s in self.signals)


class EditKind(StrEnum):
    CREATE = "create"
    MODIFY = "modify"
    DELETE = "delete"
    RENAME = "rename"


class Edit(Frozen):
    """One file change. ``after`` is None only for a deletion; ``before`` is the sha256 of the content it replaces."""

    path: str
    kind: EditKind
    before: str | None  # sha256 hex of the bytes before; None for a creation
    after: bytes | None
    mode: int = 0o644
    renamed_from: str | None = None
    rationale: str = ""


CONVERSATION = "conversation"
"""Strategy: a model in a conversation proposes edits of any kind."""
SEARCH = "cloze"
"""Strategy: the daemon searches with listed moves, and with holes that the local kernel fills."""


class Candidate(Frozen):
    """A proposed change: its edits, the provider, model and strategy that made it, and its cost."""

    schema_tag: Literal["2b.1", "2b.1-noop"] = "2b.1"
    edits: tuple[Edit, ...] = ()
    rationale: str = ""
    provider: str
    model: str
    strategy: str  # CONVERSATION, "cloze", "linear"
    spend: Spend = Spend()

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(e.path for e in self.edits)

    @property
    def touched(self) -> tuple[str, ...]:
        """Every path that is written or removed."""
        return tuple(dict.fromkeys(p for e in self.edits for p in (e.path, e.renamed_from) if p is not None))


# --- tests ----------------------------------------------------------------------------------------------------------


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"  # broke in set-up, tear-down or collection
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"

    @property
    def red(self) -> bool:
        return self in (Outcome.FAILED, Outcome.ERROR)


class Frame(Frozen):
    """One traceback frame inside the repository."""

    path: str
    line: int
    function: str


class TestResult(Frozen):
    """Result of one test, from the runner, never from a model. ``message`` and ``detail`` are capped by the plugin."""

    __test__ = False  # not a pytest class

    id: str
    outcome: Outcome
    duration_ms: int = 0
    exception: str = ""  # type name of the exception, e.g. "AssertionError"
    message: str = ""  # one or a few lines
    detail: str = ""  # long representation, capped
    frames: tuple[Frame, ...] = ()  # outermost first; only files inside the repository


class RunStatus(StrEnum):
    """GREEN and RED are verdicts about the code; with the others, the candidate is neither green nor at fault."""

    GREEN = "green"
    RED = "red"
    INCONCLUSIVE = "inconclusive"  # no tests collected, forged or truncated report, ids missing
    TIMEOUT = "timeout"
    INFRA = "infra"  # interpreter, pytest or sandbox could not run


class ProbeAnswer(Frozen):
    """Outcome of a probe: a call of a function during a test with an input that the test does not use.

    ``asked`` is the call as text, ``said`` its outcome. ``key``: digest of the test, the function, the number of
    the call and all arguments.
    """

    key: str
    asked: str
    said: str


class RunCoverage(Frozen):
    """Changed files that the tests of a run loaded, and changed functions they entered (path, first line, name)."""

    files: frozenset[str] = frozenset()
    functions: frozenset[tuple[str, int, str]] = frozenset()
    cut: bool = False  # the limit of observed calls was reached: the sets may be incomplete


class TestRun(Frozen):
    """One run of (part of) the owner's suite."""

    __test__ = False

    status: RunStatus
    reason: str = ""  # one sentence, always set unless GREEN
    collected: tuple[str, ...] = ()
    results: tuple[TestResult, ...] = ()
    duration_ms: int = 0
    output: str = ""  # head and tail, capped
    # test id -> path -> executed lines; empty unless requested
    coverage: dict[str, dict[str, tuple[int, ...]]] = Field({})
    answers: tuple[ProbeAnswer, ...] = ()  # of functions that were probed; empty unless requested
    # index of a change -> tests that pass with it in a quick trial run, which is no verdict
    screened: dict[int, frozenset[str]] = Field({})
    cut: tuple[str, ...] = ()  # tests whose coverage is truncated
    # requested tests that passed -> why their result could not be confirmed by another process
    unsure: dict[str, str] = Field({})
    # requested tests that passed -> code of the program that makes unequal values compare equal
    doubted: dict[str, str] = Field({})
    seen: RunCoverage | None = None  # None unless requested

    @property
    def red(self) -> tuple[TestResult, ...]:
        return tuple(r for r in self.results if r.outcome.red)

    @property
    def passed(self) -> int:
        return sum(r.outcome in (Outcome.PASSED, Outcome.XFAILED, Outcome.XPASSED) for r in self.results)


# --- gates ----------------------------------------------------------------------------------------------------------


class Decision(StrEnum):
    ALLOW = "allow"
    REPAIR = "repair"  # the candidate may be corrected and proposed again; ``Verdict.reason`` is the feedback
    DENY = "deny"


class Verdict(Frozen):
    """Result of one deterministic rule. ``floor``: the lowest tier allowed, whatever the decision."""

    gate: int
    rule: str  # e.g. "gate13.shrink": shown to the model and the owner, and recorded
    decision: Decision = Decision.ALLOW
    reason: str = ""
    evidence: tuple[str, ...] = ()
    floor: Tier | None = None


# --- the record -----------------------------------------------------------------------------------------------------


class EntryKind(StrEnum):
    """Kind of a ledger entry, from a closed list."""

    SESSION = "session"  # boot, stop, degraded
    SIGNAL = "signal"  # received, suppressed, merged, queued, claimed, done, dead
    TRANSITION = "transition"  # written before the effect that it announces
    DECISION = "decision"  # a pure decision with its inputs: tier, route, priority, gates
    VERDICT = "verdict"  # one gate or tool policy verdict
    CALL = "call"  # one model call: estimate, settlement, usage
    TOOL = "tool"  # one tool call
    RUN = "run"  # one test run
    CANDIDATE = "candidate"
    APPROVAL = "approval"  # requested, approved, rejected, expired
    CHANGE = "change"  # journal opened, applied, intent, committed, rolled back, recovered
    LEASE = "lease"
    OUTCOME = "outcome"  # terminal record, undo
    GROUNDING = "grounding"  # a convergence record, and later its grade
    CONTROL = "control"  # a request of the owner over the control socket


class Draft(Frozen):
    """An entry before the store appends it to the chain. ``payload`` must be representable in canonical JSON."""

    kind: EntryKind
    op_id: str | None = None
    phase: State | None = None
    payload: dict[str, Any] = Field({})
    spend: Spend = Spend()  # the op's cost and time so far
    causes: tuple[int, ...] = ()  # sequence numbers of the entries that caused this one


class Entry(Draft):
    """One row of the ledger."""

    seq: int
    at: str
    prev: str
    hash: str


class Head(Frozen):
    """Number and hash of a chain's newest entry; 0 and the genesis hash for an empty chain."""

    seq: int
    hash: str
