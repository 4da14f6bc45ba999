"""Changes to the repository: apply, commit, roll back, undo, and review branches."""

from __future__ import annotations

from enum import StrEnum

from ledger.events.event import LedgerEvent
from ledger.vocabulary import EntryKind, Phase


class LandingCause(StrEnum):
    """Why a change does not land on the branch that is checked out."""

    SETTING = "setting"
    SNAPSHOT = "snapshot"  # it was made for the owner's uncommitted files
    DETACHED = "detached"
    NOT_CONTAINED = "not contained"  # the branch does not contain the commit that it was planned on
    MOVED_ON = "moved on"  # the branch changed one of its files
    OWN_WORK = "own work"  # uncommitted work of the owner's in one of its files
    CONVERTED = "converted"  # git takes a file for unchanged whose bytes differ


class LandingChosen(LedgerEvent, kind=EntryKind.CHANGE, name="landing.chosen", phase=Phase.APPLY):
    mode: str
    ref: str = ""
    reason: str = ""
    cause: LandingCause | None = None


class ChangeApplying(LedgerEvent, kind=EntryKind.CHANGE, name="change.applying", phase=Phase.APPLY):
    paths: tuple[str, ...]
    mode: str


class ChangeRollingBack(LedgerEvent, kind=EntryKind.CHANGE, name="change.rolling_back"):
    journal: str = ""
    rule: str = ""


class ChangeRecovered(LedgerEvent, kind=EntryKind.CHANGE, name="change.recovered"):
    """What boot recovery did with an open journal."""

    op_id: str = ""
    outcome: str
    commit: str | None = None
    ref: str = ""
    detail: str = ""
    restored: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class CommitIntended(LedgerEvent, kind=EntryKind.CHANGE, name="commit.intent", phase=Phase.VERIFY):
    """Written before the commit, whose trailer names this entry."""

    tree: str = ""
    parent: str = ""
    ref: str = ""
    journal: str = ""
    paths: tuple[str, ...] = ()


class CommitMade(LedgerEvent, kind=EntryKind.CHANGE, name="committed", phase=Phase.VERIFY):
    """``intent``: number of the entry before it; ``note``: what was not done; ``kept``: files left as they are."""

    commit: str
    ref: str = ""
    mode: str = ""
    subject: str = ""
    signed: bool = True
    note: str = ""
    kept: tuple[str, ...] = ()
    intent: int = 0


class UndoIntended(LedgerEvent, kind=EntryKind.CHANGE, name="undo.intent"):
    commit: str


class UndoGivenUp(LedgerEvent, kind=EntryKind.CHANGE, name="undo.given_up"):
    reason: str = ""


class UndoMade(LedgerEvent, kind=EntryKind.OUTCOME, name="undone"):
    """``commit`` takes ``of`` back."""

    commit: str
    ref: str = ""
    of: str = ""


class ReviewClosed(LedgerEvent):
    """A review branch that the owner has dealt with."""

    branch: str = ""
    commit: str = ""


class ReviewMerged(ReviewClosed, kind=EntryKind.OUTCOME, name="review.merged"):
    pass


class ReviewRejected(ReviewClosed, kind=EntryKind.OUTCOME, name="review.rejected"):
    """The branch was deleted unmerged."""
