"""What becomes of a signal when its op ends, or when its lease runs out: pure."""

from __future__ import annotations

from ledger.vocabulary import OpOutcome, RootCause, State
from sensors.intake.records import Item, ItemState

GOOD = frozenset({OpOutcome.COMPLETE, OpOutcome.NOOP})
COUNTED = frozenset({OpOutcome.POSTMORTEM, OpOutcome.FAILED_PERMANENT})  # a person's no, or a rule's, is not an attempt


def after_end(
    item: Item,
    *,
    op_id: str,
    state: State,
    cause: RootCause,
    branch: str | None,
    retry: bool,
    now: str,
    max_attempts: int,
    stopped: bool = False,
) -> Item:
    """The item after op ``op_id`` ended in ``state``; ``stopped``: only because the daemon was, which is no attempt.

    A branch that holds the work: AWAITING_MERGE. Success: DONE. Too many attempts: DEAD. Asked for again, or failed
    while the same condition was reported at a newer commit: QUEUED, at the end of its class. Else DONE.
    """
    counted = state in COUNTED and not stopped
    attempts = item.attempts + counted
    line = f"{op_id} {state.value} {cause.value}"
    base = item.model_copy(
        update={"attempts": attempts, "history": (*item.history, line), "reason": f"{state.value} {cause.value}"}
    )
    closed = {"closed_at": now, "success": state in GOOD}
    if branch is not None:
        return base.model_copy(update={**closed, "state": ItemState.AWAITING_MERGE, "branch": branch})
    if state in GOOD:
        return base.model_copy(update={**closed, "state": ItemState.DONE})
    if counted and attempts >= max_attempts:
        return base.model_copy(update={**closed, "state": ItemState.DEAD})
    if retry or (counted and item.seen_again_at):
        return queued_again(base, now=now)
    return base.model_copy(update={**closed, "state": ItemState.DONE})


def queued_again(item: Item, *, now: str) -> Item:
    """Back in the queue, at the newest commit where it was seen.

    Its age is reset, so that repeated failures do not overtake new signals.
    """
    signal = item.signal.model_copy(update={"base": item.seen_again_at or item.signal.base})
    update = {"state": ItemState.QUEUED, "signal": signal, "seen_again_at": None, "op_id": None}
    return item.model_copy(update={**update, "queued_at": now, "not_before": now})


def after_unstarted(item: Item, *, now: str, max_claims: int) -> Item:
    """A claimed item whose worker is gone: it provably never acted, so it keeps its place in the queue."""
    if item.generation >= max_claims:
        reason = f"It was claimed {item.generation} times and never started."
        return item.model_copy(update={"state": ItemState.DEAD, "op_id": None, "closed_at": now, "reason": reason})
    return item.model_copy(update={"state": ItemState.QUEUED, "op_id": None, "not_before": item.queued_at})


def quarantined(item: Item, reason: str) -> Item:
    """It may have acted: it stays untouched until a person, or its late worker, reports what happened."""
    return item.model_copy(update={"state": ItemState.QUARANTINED, "reason": reason})
