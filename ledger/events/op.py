"""Ledger events of an op: its start, the decisions of its phases, its candidates, its end."""

from __future__ import annotations

from pydantic import Field

from ledger.events.event import ComplexityName, Json, LedgerEvent, TierName, UrgencyName
from ledger.vocabulary import EntryKind, FailureClass, OpOutcome, Phase, RootCause, Route, Source, SourceClass


class OpStarted(LedgerEvent, kind=EntryKind.DECISION, name="op.started", phase=Phase.CLASSIFY):
    """``operation``: blob of the whole operation."""

    operation: str = ""
    goal: str = ""
    origin: Source | None = None
    targets: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    urgency: UrgencyName | None = None
    base: str = ""
    attempt: int = 1
    depth: int = 0


class TierAssigned(LedgerEvent, kind=EntryKind.DECISION, name="tier.assigned"):
    """Written by CLASSIFY for the expected change, and by GATE for the candidate.

    ``size`` and ``complexity`` come from CLASSIFY; ``trust``, ``doubts``, ``left_open``, ``evidence`` and ``gates``
    (numbers of gates passed and run) from GATE.
    """

    facts: Json = Field({})
    floors: tuple[tuple[TierName, str], ...] = ()
    tier: TierName
    rule: int = 0
    reasons: tuple[str, ...] = ()
    blast_bp: int = 0
    size: Json | None = None
    complexity: ComplexityName | None = None
    prophecy: Json | None = None
    trust: tuple[Json, ...] | None = None
    doubts: tuple[str, ...] = ()
    left_open: str = ""
    evidence: str = ""
    gates: tuple[int, int] | None = None


class RouteChosen(LedgerEvent, kind=EntryKind.DECISION, name="route.chosen", phase=Phase.ROUTE):
    complexity: ComplexityName | None = None
    source: SourceClass | None = None
    urgency: UrgencyName | None = None
    route: Route
    reason: str = ""
    local: bool = False
    confidence: Json | None = None


class ContextExpanded(LedgerEvent, kind=EntryKind.DECISION, name="context.expanded", phase=Phase.CONTEXT_EXPANSION):
    """``files``: pairs of path and reason."""

    files: tuple[tuple[str, str], ...] = ()
    refused: tuple[str, ...] = ()
    rounds: int = 0


class PlanMade(LedgerEvent, kind=EntryKind.DECISION, name="planned", phase=Phase.PLAN):
    """``failed``: why there is no plan; ``changes``: pairs of path and description."""

    approach: str = ""
    failed: str = ""
    changes: tuple[tuple[str, str], ...] = ()


class CandidateProposed(LedgerEvent, kind=EntryKind.CANDIDATE, name="candidate", phase=Phase.GENERATE):
    """``candidate``: its blob; ``tree``: the commit that it was made for.

    ``hash`` and ``change``: digests by which a refused candidate is recognised later.
    """

    candidate: str = ""
    tree: str = ""
    paths: tuple[str, ...] = ()
    strategy: str = ""
    rationale: str = ""
    tried: int = 0
    hash: str = ""
    evidence: str = ""
    change: str = ""
    notes: tuple[str, ...] = ()
    diff: str = ""


class DryRunKept(LedgerEvent, kind=EntryKind.CANDIDATE, name="dry_run", phase=Phase.VERIFY):
    candidate: str


class ClaimWaiting(LedgerEvent, kind=EntryKind.LEASE, name="claim.waiting", phase=Phase.GENERATE):
    """The op waits: another op has claimed these files."""

    paths: tuple[str, ...]


class PhaseEntered(LedgerEvent, kind=EntryKind.TRANSITION, name="phase.entered"):
    """``rule``: the rule that caused a step back to an earlier phase."""

    origin: Phase
    to: Phase
    reason: str = ""
    rule: str = ""
    at: str = ""


class OpEnded(LedgerEvent, kind=EntryKind.TRANSITION, name="terminal"):
    """``recovered``: written at boot after a crash; ``ms``: milliseconds since the op was created."""

    to: OpOutcome
    origin: Phase | None = None
    root_cause: RootCause = RootCause.NONE
    failure_class: FailureClass = FailureClass.NONE
    failed_phase: Phase | None = None
    reason: str = ""
    ms: int | None = None
    commit: str | None = None
    ref: str | None = None
    goal: str = ""
    targets: tuple[str, ...] = ()
    recovered: bool = False


class OutcomeRecorded(LedgerEvent, kind=EntryKind.OUTCOME, name="outcome"):
    success: bool
    files: tuple[str, ...] = ()
    root_cause: RootCause = RootCause.NONE
    failure_class: FailureClass = FailureClass.NONE
    reason: str = ""
    tried: int = 0
    lesson: str = ""
