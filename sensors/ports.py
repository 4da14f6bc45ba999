"""Ports: protocols for what sensors use from rooms that they may not import, implemented by the daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ledger.clock import Clock
from ledger.store import Ledger
from ledger.vocabulary import Frozen, Signal, Source, TestRun, Verdict
from sensors.alarm import Alarm, wall_alarm
from sensors.intake.records import Receipt
from sensors.watch.named import Refs


class HeadPort(Protocol):
    """Position of HEAD; ``commit`` is None before the first commit, ``branch`` is None when detached."""

    @property
    def commit(self) -> str | None: ...

    @property
    def branch(self) -> str | None: ...


class Differing(Protocol):
    """A file that is not as it is committed."""

    @property
    def path(self) -> str: ...


class IgnorePort(Protocol):
    """What git ignores. Paths are relative to the top of the repository, with ``/``; folders without a slash at the
    end."""

    async def ignored_folders(self) -> Collection[str]:
        """Every folder that git ignores as a whole (``ls-files --others --ignored --exclude-standard --directory``)."""
        ...

    async def ignored_among(self, paths: Collection[str]) -> Collection[str]:
        """Those of ``paths`` that git ignores (``check-ignore -z --stdin``)."""
        ...


class TestPort(Protocol):
    """Runs the owner's tests."""

    async def run(self, commit: str, ids: Sequence[str] | None = None) -> TestRun:
        """The suite, or some ids of it, at the tree of ``commit`` in a fresh workspace. A cancellation kills it."""
        ...

    async def prepare(self, commit: str) -> None:
        """Prepare for a run of the suite at ``commit`` and for a second run of some of its tests. Earlier preparations
        are discarded."""
        ...

    async def discard_prepared(self) -> None:
        """End what was prepared and not used."""
        ...


class CommittedFilesPort(Protocol):
    """What is committed. Paths are relative to the top of the repository."""

    async def read_many(self, commit: str, paths: Collection[str]) -> Mapping[str, bytes]:
        """Bytes of those ``paths`` that exist at a commit."""
        ...


class RepositoryPort(CommittedFilesPort, Protocol):
    """Read-only questions about the owner's repository."""

    async def head(self) -> HeadPort: ...

    async def check(self) -> str:
        """The commit of HEAD. Raises ``RepositoryError`` with a clear sentence when nothing can be worked on."""
        ...

    async def parent(self, commit: str) -> str | None: ...

    async def trailers(self, commit: str, path: str = "") -> dict[str, str]:
        """Of a commit's message; with ``path``, of the commit of its history that changed that file last."""
        ...

    async def snapshot(self) -> str:
        """A commit of the uncommitted tree; HEAD's own commit when nothing is changed."""
        ...

    async def dirty(self) -> Collection[Differing]:
        """What the owner has not committed; empty for a clean checkout."""
        ...

    async def has(self, commit: str) -> bool:
        """Is the commit (still) there to be asked about?"""
        ...

    async def files(self, commit: str) -> Sequence[str]: ...

    async def sizes(self, commit: str) -> Mapping[str, int]:
        """The bytes of each regular file of a commit."""
        ...

    async def committed_at(self, commit: str) -> datetime:
        """When a commit was made, by its committer's clock (UTC, whole seconds)."""
        ...

    async def changed_between(self, old: str, new: str) -> Sequence[str]:
        """Paths that differ between two commits; a rename is two paths."""
        ...

    async def last_touched(self, commit: str, path: str) -> str | None:
        """The commit, of those that ``commit`` contains, that changed ``path`` last."""
        ...

    async def line_ages(self, commit: str, path: str) -> Sequence[datetime]:
        """When each line of a file at a commit was written (its author's time, UTC)."""
        ...


class GhAnswer(Frozen):
    """How a call of GitHub's command line ended. ``code`` None: it did not end by itself in its time."""

    code: int | None
    out: bytes
    err: str = ""


class GhPort(Protocol):
    """GitHub's command line, logged in as its owner has it. Nothing of a repository is read by it."""

    async def call(self, *args: str) -> GhAnswer:
        """Raises ``ChildFailed`` where there is no such program."""
        ...


class CodeIndexPort(Protocol):
    """The index of the code. Both raise ``OuroError`` where they cannot; asked again they make up for it."""

    async def take_in(self) -> None:
        """Look at everything: what is committed at HEAD, and what is not."""
        ...

    async def refresh(self, paths: Collection[str]) -> None:
        """Look at these files of the checkout, some of which may be gone."""
        ...


Emit = Callable[[Signal], Awaitable[Receipt]]
DepthOf = Callable[[str], Awaitable[int]]  # op id -> depth of that op; 0 for an unknown one
LeftAlone = Callable[[str], Awaitable[frozenset[str]]]  # commit -> failing tests for which no signal is made
Withdraw = Callable[[str, str], Awaitable[None]]  # signal id, reason; ``ControlError`` where an op works on it
MayRelease = Callable[[float, float], Verdict]  # seconds without a sign of life, and the limit
TrackRecord = Callable[[Source], tuple[int, int]]  # of a source's earlier claims: those that came true, and all
SignalLookup = Callable[[str], Awaitable[bool]]  # yes or no about a signal, by its id or its key
Redact = Callable[[str], str]  # takes secrets out of a text


class OtherFile(Frozen):
    """A file of another repository as it is committed at its HEAD. ``by_op``: one of our own kind wrote it last."""

    commit: str
    data: bytes | None
    by_op: bool = False


class ElsewherePort(Protocol):
    """Other repositories of this machine, read by their objects alone. ``repository`` is the path of a checkout."""

    async def refs(self, repository: str) -> Refs:
        """Where its branches lie. Raises ``RepositoryError`` where there is none."""
        ...

    async def read(self, repository: str, path: str, *, largest: int) -> OtherFile:
        """Raises ``RepositoryError`` where it cannot be read, or is larger."""
        ...


class NamesPort(Protocol):
    """Which names exist in the repository."""

    async def known(self, names: Collection[str]) -> frozenset[str]:
        """Those of ``names`` that are a committed file or a symbol of the code index."""
        ...


class OcrPort(Protocol):
    """Reads text off pictures."""

    def missing(self) -> tuple[str, str]:
        """Why it cannot, and the remedy; both empty when it can. Looks at the disk."""
        ...

    async def read(self, data: bytes) -> tuple[str | None, str]:
        """The text; or None, and why there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorPorts:
    """All ports that the daemon offers to sensors."""

    repository: RepositoryPort
    emit: Emit
    ledger: Ledger
    clock: Clock
    depth_of: DepthOf
    redact: Redact = str
    unavailable: Callable[[], str] = str  # why no model can work on its signals, or an empty text
    alarm: Alarm = wall_alarm
    tests: TestPort
    top: Path  # top of the checkout
    spool: Path  # folder where pytest runs of the owner leave reports
    emit_for_owner: Emit  # for a signal that a person asks for now, whatever became of it before
    withdraw: Withdraw
    is_known: SignalLookup  # whether a signal with this key was ever taken in
    is_open: SignalLookup  # whether the signal with this id is not done with
    left_alone: LeftAlone
    pressed_by: Callable[[], str]  # the resource that the machine is short of, or an empty text
    busy_with: Callable[[], Awaitable[str]]  # why now is no time to look for more work, or an empty text
    follow: Callable[[Refs], None]  # watch the branches of another repository
    elsewhere: ElsewherePort
    names: NamesPort
    ocr: Callable[[str, str, float], OcrPort]  # program, languages, limit in seconds
    gh: Callable[[float], GhPort]  # timeout in seconds
    hindered: Callable[[], int]  # ops of this boot that ended because the owner was in the way
    has_issue_webhook: bool
