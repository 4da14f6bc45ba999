"""The result of a phase: next state, output and reason."""

from __future__ import annotations

from dataclasses import dataclass

from governance.dossier import Feedback, Output
from ledger.vocabulary import FailureClass, Operation, RootCause, State


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseResult:
    """``next`` must be an edge of the transition table. ``park`` leaves the op waiting in the approval inbox.

    ``replaced`` is the op as later phases get it (a new base after a stale apply); its id never changes.
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
    """A result that ends the op in POSTMORTEM."""
    return PhaseResult(next=State.POSTMORTEM, cause=cause, failure=failure, reason=reason)
