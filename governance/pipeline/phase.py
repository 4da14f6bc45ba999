"""What a phase is: its output, its edges and its function; and the results that it may return."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from governance.pipeline.context import OpContext
from governance.pipeline.dossier import Dossier, Feedback, Output
from governance.settings import PipelineSettings
from ledger.vocabulary import FailureClass, Operation, Phase, RootCause, State


class ResultKind(StrEnum):
    """What came of a phase. The state machine chooses the next state from it."""

    DONE = "done"  # on to the next phase of the list
    TRIVIAL = "trivial"  # too small for the next phases
    NO_CHANGE = "no change"  # the op ends without a change
    RETRY = "retry"  # another attempt is needed
    STALE = "stale"  # the repository has changed since it was read
    REFUSED = "refused"  # by a rule that no further attempt can satisfy
    WAITING = "waiting"  # for the owner's approval: the op is parked in its phase
    # Every phase may end an op in these ways:
    FAILED = "failed"
    CANCELLED = "cancelled"
    BROKEN = "broken"  # a fault of the daemon or of its configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseResult:
    """``feedback``: for the next attempt, on a step back. ``replaced``: the op as later phases get it, with its id."""

    kind: ResultKind = ResultKind.DONE
    output: Output | None = None
    reason: str = ""
    cause: RootCause = RootCause.NONE
    failure: FailureClass = FailureClass.NONE
    feedback: Feedback | None = None
    replaced: Operation | None = None


def failed(cause: RootCause, failure: FailureClass, reason: str) -> PhaseResult:
    """A result that ends the op in POSTMORTEM."""
    return PhaseResult(kind=ResultKind.FAILED, cause=cause, failure=failure, reason=reason)


PhaseRun = Callable[[Operation, Dossier, OpContext], Awaitable[PhaseResult]]


def refused(cause: RootCause, reason: str, output: Output | None = None) -> PhaseResult:
    """A result that ends the op in BLOCKED."""
    return PhaseResult(kind=ResultKind.REFUSED, output=output, cause=cause, failure=FailureClass.POLICY, reason=reason)


def retry(
    phase: Phase,
    rule: str,
    text: str,
    cause: RootCause,
    failure: FailureClass,
    *,
    candidate: str = "",
    replaced: Operation | None = None,
) -> PhaseResult:
    """A result of ``phase`` that asks for another attempt. ``candidate``: hash of a diff that is not accepted again."""
    return PhaseResult(
        kind=ResultKind.RETRY,
        reason=f"{text[:400]} ({rule})",
        cause=cause,
        failure=failure,
        feedback=Feedback(phase=phase, rule=rule, text=text, candidate=candidate),
        replaced=replaced,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSpec:
    """Declaration of a phase. It has the name that its output type names.

    ``edges``: the next state for each other kind of result than DONE (which goes on to the next phase of the list)
    and those that every phase has. ``returns``: how often it may send an op to itself or to an earlier phase.
    """

    output: type[Output]
    run: PhaseRun
    edges: Mapping[ResultKind, State] = field(default_factory=dict)
    returns: Callable[[PipelineSettings], int] | None = None

    @property
    def name(self) -> Phase:
        return self.output.phase
