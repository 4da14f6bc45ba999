"""Maps exceptions to the recorded root cause and failure class."""

from __future__ import annotations

from governance.budget import DaySpent
from governance.pipeline.phase import PhaseResult, ResultKind, failed
from kernel.canary import CollapseDetected
from ledger.errors import (
    ApplyConflict,
    BudgetExhausted,
    HookRefused,
    OuroError,
    PolicyRefused,
    ProviderBadOutput,
    ProviderUnavailable,
    RepositoryBusy,
    SandboxError,
    StaleBase,
)
from ledger.faults import machine_fault
from ledger.vocabulary import FailureClass, RootCause

CAUSES: tuple[tuple[type[OuroError], RootCause, FailureClass], ...] = (
    (BudgetExhausted, RootCause.BUDGET_EXHAUSTED, FailureClass.BUDGET),
    (ProviderUnavailable, RootCause.PROVIDER_UNAVAILABLE, FailureClass.PROVIDER),
    (CollapseDetected, RootCause.COLLAPSE, FailureClass.COLLAPSE),
    (ProviderBadOutput, RootCause.PROVIDER_BAD_OUTPUT, FailureClass.PROVIDER),
    (SandboxError, RootCause.SANDBOX_MISSING, FailureClass.INFRA),
    (StaleBase, RootCause.STALE_BASE, FailureClass.INFRA),
    (ApplyConflict, RootCause.APPLY_CONFLICT, FailureClass.INFRA),
    (HookRefused, RootCause.HOOK_REFUSED, FailureClass.POLICY),
    (RepositoryBusy, RootCause.APPLY_CONFLICT, FailureClass.INFRA),
)


def blame(error: Exception) -> PhaseResult:
    """A POSTMORTEM result with the cause for ``error``; INTERNAL for exceptions that are not ``OuroError``.

    An op for which the day's budget ran out has not failed: it is CANCELLED and queued again once there is budget. Of
    an exception group the first ``OuroError`` counts.
    """
    if isinstance(error, ExceptionGroup):
        ours = error.subgroup(OuroError)
        return blame((ours or error).exceptions[0])
    if isinstance(error, DaySpent):
        return PhaseResult(
            kind=ResultKind.CANCELLED, cause=RootCause.BUDGET_EXHAUSTED, failure=FailureClass.BUDGET, reason=str(error)
        )
    if isinstance(error, PolicyRefused):
        return failed(RootCause.POLICY_REFUSED, FailureClass.POLICY, f"{error} ({error.rule})")
    for kind, cause, failure in CAUSES:
        if isinstance(error, kind):
            return failed(cause, failure, _with_notes(error))
    if isinstance(error, OSError):
        error = machine_fault(error)
    reason = _with_notes(error) if isinstance(error, OuroError) else f"{type(error).__name__}: {error}"
    return failed(RootCause.INTERNAL, FailureClass.INTERNAL, reason)


def _with_notes(error: OuroError) -> str:
    """The error's message with the notes added on its way up."""
    return " ".join([str(error), *(f"({note})" for note in getattr(error, "__notes__", ()))])
