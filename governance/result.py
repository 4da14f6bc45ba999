"""What a phase returns: where to go, what it made, and why."""

from __future__ import annotations

from dataclasses import dataclass

from governance.dossier import Feedback, Output
from ledger.vocabulary import FailureClass, Operation, RootCause, State


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseResult:
    """``next`` must be an edge of the transition table. ``park`` leaves the op with the approval inbox.

    ``replaced`` is the op as the next phase shall see it (a new base after a stale apply); its id never changes.
    """

    next: State
    output: Output | None = None
    reason: str = ""
    cause: RootCause = RootCause.NONE
    failure: FailureClass = FailureClass.NONE
    feedback: Feedback | None = None
    park: bool = False
    replaced: Operation | None = None


def failed(cause: RootCause, failure: FailureClass, reason: str) -> PhaseResult:
    """The op ends in POSTMORTEM."""
    return PhaseResult(next=State.POSTMORTEM, cause=cause, failure=failure, reason=reason)
