"""Inputs and outputs of this package. All frozen."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ledger.events.change import LandingCause
from ledger.vocabulary import Frozen

Mode = Literal["branch", "review", "dry-run"]


class Landing(Frozen):
    """Where a change may land, and why."""

    mode: Mode
    ref: str  # full ref name; empty for a dry run
    reason: str
    cause: LandingCause | None = None
    base: str  # commit the change is planned on
    review_ref: str = ""  # used when the branch turns out not to be possible


class Receipt(Frozen):
    """What APPLY did. ``before`` and ``after`` map each path to the sha256 of its bytes; None: no such file."""

    journal: str  # empty for a dry run
    op_id: str
    landing: Landing
    before: dict[str, str | None]
    after: dict[str, str | None]


class CommitText(Frozen):
    """The message. The commit adds ``Ouro-Ledger``, and orders and cleans the trailers."""

    subject: str
    body: str = ""
    trailers: tuple[tuple[str, str], ...] = ()


class Prepared(Frozen):
    """A tree in the object store that is ready to be committed on ``parent`` and to move ``ref``."""

    tree: str
    parent: str
    ref: str
    paths: tuple[str, ...]


class Committed(Frozen):
    """A signed commit that its ref contains. ``note``: what was not done, if anything."""

    commit: str
    ref: str
    mode: Mode
    subject: str
    signed: bool = True
    note: str = ""
    kept: tuple[str, ...] = ()  # files not rolled back, because the owner had changed them


class Rollback(Frozen):
    """``restored``: files with their earlier content again; ``kept``: files that the owner changed meanwhile.

    ``commit`` is set when the change was already committed: it was finished instead. ``stuck``: why it could not be
    taken back now; its journal stays open.
    """

    restored: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    commit: str | None = None
    stuck: str = ""


class Recovered(Frozen):
    """What boot recovery did with one open journal."""

    op_id: str
    outcome: Literal["rolled_back", "committed", "owner_kept"]
    commit: str | None = None
    ref: str = ""  # that the commit is in
    detail: str = ""
    restored: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class CommitCheck(Frozen):
    """Verification of a commit. ``problems`` is empty exactly when ``ok``."""

    ok: bool
    signed: bool  # by the key of this repository's daemon
    trailers: dict[str, str] = Field(default_factory=dict)
    problems: tuple[str, ...] = ()


class Slot(Frozen):
    """One file of a journalled change. A hash of None means that there is no such file."""

    path: str
    before: str | None
    after: str | None
    before_mode: int = 0
    after_mode: int = 0
    stem: str  # name of the exchange partner beside the file
    image: str = ""  # name of the before-image in the journal; empty for a creation


class CommitMark(Frozen):
    """Written before the ref moves, so that recovery can find out whether it did."""

    commit: str
    ref: str
    parent: str


class JournalRecord(Frozen):
    """Everything needed to roll back or finish a change."""

    format: Literal["journal.1"] = "journal.1"
    id: str
    op_id: str
    landing: Landing
    slots: tuple[Slot, ...] = ()
    folders: tuple[str, ...] = Field(default=(), description="Folders that did not exist, outermost first.")
    mark: CommitMark | None = None
