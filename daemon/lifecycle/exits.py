"""The exit code of an op by how it ended, and one code for several."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.exit_codes import Exit
from ledger.vocabulary import OpOutcome, RootCause, State

__all__ = ["Exit", "exit_for_op", "worst"]

_BY_CAUSE: dict[RootCause, Exit] = {
    RootCause.BLOCKED_PATH: Exit.REFUSED,
    RootCause.POLICY_REFUSED: Exit.REFUSED,
    RootCause.BUDGET_EXHAUSTED: Exit.REFUSED,
    RootCause.CANDIDATE_INVALID: Exit.REFUSED,
    RootCause.HOOK_REFUSED: Exit.REFUSED,
    RootCause.SANDBOX_MISSING: Exit.REFUSED,
    RootCause.PROVIDER_UNAVAILABLE: Exit.REFUSED,
    RootCause.APPROVAL_EXPIRED: Exit.REFUSED,
    RootCause.APPROVAL_REJECTED: Exit.REFUSED,
    RootCause.INTERNAL: Exit.FAULT,
    RootCause.CRASH_RECOVERED: Exit.FAULT,
}


def exit_for_op(state: State, cause: RootCause) -> Exit:
    """The exit code of one op. An op that has not ended waits for a person."""
    if state is OpOutcome.COMPLETE:
        return Exit.DONE
    if state is OpOutcome.NOOP:
        return Exit.NOTHING
    if state is OpOutcome.BLOCKED:
        return Exit.REFUSED
    if state is OpOutcome.FAILED_PERMANENT:
        return Exit.FAULT
    return _BY_CAUSE.get(cause, Exit.PERSON)


_SEVERITY = (Exit.FAULT, Exit.PERSON, Exit.REFUSED, Exit.DONE, Exit.NOTHING)


def worst(codes: Iterable[Exit]) -> Exit:
    """One code for several ops: a fault, else a person, else a refusal, else done; nothing at all is NOTHING."""
    found = set(codes)
    return next((code for code in _SEVERITY if code in found), Exit.NOTHING)
