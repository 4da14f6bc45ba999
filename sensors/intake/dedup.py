"""Is this signal new? Pure: the answer follows from the last item with the same key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from ledger.clock import unstamp
from ledger.vocabulary import Signal, Source
from sensors.intake.records import ACTIVE, Item, ItemState
from sensors.intake.settings import RouterSettings


class Novelty(NamedTuple):
    """``status`` new, duplicate or suppressed; ``attempts`` is what a new one inherits from its failed forerunner."""

    status: Literal["new", "duplicate", "suppressed"]
    reason: str = ""
    of: str | None = None
    attempts: int = 0
    history: tuple[str, ...] = ()


NEW = Novelty("new")


def novelty(
    signal: Signal, last: Item | None, *, now: datetime, branch_lives: bool, settings: RouterSettings
) -> Novelty:
    """Judge ``signal`` against ``last``, the latest item with its key.

    Active: duplicate. On a living review branch: suppressed; a deleted branch is a rejection and the next signal is
    new. Ended at the same commit within the window: suppressed; dead at the same commit: suppressed for good. Ended
    without success at another commit within the window: new, but its attempts count on, so that a repair that keeps
    failing is given up. A person who submits again means it.
    """
    if last is None:
        return NEW
    if last.state in ACTIVE:
        return Novelty("duplicate", f"The same condition is already {last.state.value}.", last.id)
    if last.state is ItemState.AWAITING_MERGE:
        if branch_lives:
            return Novelty("suppressed", f"Its repair waits on branch {last.branch}.", last.id)
        return NEW
    if signal.source is Source.MANUAL:
        return NEW
    same_tree = (last.signal.base, last.signal.snapshot) == (signal.base, signal.snapshot)
    closed = unstamp(last.closed_at) if last.closed_at else now
    fresh = now - closed < timedelta(seconds=settings.dedup_window_s)
    if last.state is ItemState.DEAD and (same_tree or fresh):
        return Novelty("suppressed", f"Given up after {last.attempts} attempts.", last.id)
    if same_tree and fresh:
        return Novelty("suppressed", f"It ended at this commit a short while ago: {last.reason}.", last.id)
    if fresh and not last.success:
        return Novelty("new", "", last.id, last.attempts, last.history)
    return NEW
