"""Is this signal new? Pure: the answer follows from the last item with the same key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from ledger.clock import unstamp
from ledger.vocabulary import RootCause, Signal, Source
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
IN_THE_WAY = frozenset({RootCause.APPLY_CONFLICT, RootCause.STALE_BASE})
IN_VAIN = "A repair was searched for in vain, and nothing that these tests run has changed since."
MISSING = frozenset(
    {RootCause.PROVIDER_UNAVAILABLE, RootCause.SANDBOX_MISSING, RootCause.BUDGET_EXHAUSTED, RootCause.INTERNAL}
)
"""INTERNAL is also what the machine refused, as a full disk does."""


def cause_of(last: Item) -> str:
    """What an item that is over ended by: the last word of its reason."""
    return last.reason.rpartition(" ")[2]


def may_have_passed(signal: Signal, last: Item) -> bool:
    """Its op failed because the owner was in the way, or for what a new boot of the daemon may have by now."""
    cause = cause_of(last)
    return cause in IN_THE_WAY or (cause in MISSING and signal.boot != last.signal.boot)


def in_vain(last: Item | None) -> bool:
    """Its op ended because the search for a repair came to its end and had found none."""
    if last is None or last.success or last.state not in (ItemState.DONE, ItemState.DEAD):
        return False
    return cause_of(last) == RootCause.NO_CANDIDATE


def novelty(
    signal: Signal,
    last: Item | None,
    *,
    now: datetime,
    branch_lives: bool,
    settings: RouterSettings,
    asked: bool = False,
    unchanged: bool = False,
) -> Novelty:
    """Judge ``signal`` against ``last``, the latest item with its key.

    Active: duplicate. On a living review branch: suppressed; a deleted branch is a rejection and the next signal is
    new. Ended at the same commit within the window: suppressed; dead at the same commit: suppressed for good. Ended
    without success at another commit within the window: new, but its attempts count on, so that a repair that keeps
    failing is given up; so is what failed for a reason that may have passed by now. A person who submits again, or
    asks for it (``asked``), means it. ``unchanged``: nothing that the tests run is another than at ``last``; a search
    that found nothing would be the same search again.
    """
    if last is None:
        return NEW
    if last.state in ACTIVE:
        return Novelty("duplicate", f"The same condition is already {last.state.value}.", last.id)
    if last.state is ItemState.AWAITING_MERGE:
        if branch_lives:
            return Novelty("suppressed", f"Its repair waits on branch {last.branch}.", last.id)
        return NEW
    if asked or signal.source is Source.MANUAL:
        return NEW
    if unchanged and in_vain(last):
        return Novelty("suppressed", IN_VAIN, last.id)
    same_tree = (last.signal.base, last.signal.snapshot) == (signal.base, signal.snapshot)
    closed = unstamp(last.closed_at) if last.closed_at else now
    fresh = now - closed < timedelta(seconds=settings.dedup_window_s)
    if last.state is ItemState.DEAD and (same_tree or fresh):
        return Novelty("suppressed", f"Given up after {last.attempts} attempts.", last.id)
    if same_tree and fresh and not may_have_passed(signal, last):
        return Novelty("suppressed", f"It ended at this commit a short while ago: {last.reason}.", last.id)
    if fresh and not last.success:
        return Novelty("new", "", last.id, last.attempts, last.history)
    return NEW
