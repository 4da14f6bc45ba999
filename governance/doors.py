"""Protocols for the hands that governance needs from rooms it may not import; the wiring gives the real ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from ledger.vocabulary import Closure, Edit, Operation, RootCause, State, TestRun


class Tree(Protocol):
    """The tree that a closure check is asked on."""

    async def run(self, ids: Sequence[str] | None, *, instead: Mapping[str, bytes] | None = None) -> TestRun:
        """Those tests, on this tree; None: all that there are. ``instead``: files as they are to be for this run."""
        ...

    async def read(self, path: str) -> bytes | None:
        """Bytes of a regular file of this tree; None when there is none."""
        ...

    async def sizes(self) -> Mapping[str, int]:
        """The bytes of each regular file."""
        ...

    async def read_many(self, paths: Collection[str]) -> Mapping[str, bytes]:
        """Bytes of those ``paths`` that are regular files."""
        ...

    async def produce(
        self, argv: Sequence[str], *, path: str, limit_s: float, largest: int
    ) -> tuple[bytes | None, str]:
        """What a command of the owner's, run in the sandbox on this tree, writes at ``path``; or None, and why."""
        ...


class ClosureAnswer(Protocol):
    """Is the condition gone, and what says so. ``gone``: what the check speaks of is not there any more."""

    @property
    def closed(self) -> bool: ...

    @property
    def reason(self) -> str: ...

    @property
    def gone(self) -> bool: ...


class ClosureDoor(Protocol):
    """The sensors' own check, asked on an explicit tree."""

    async def is_closed(self, closure: Closure, tree: Tree) -> ClosureAnswer: ...

    async def mark(self, closure: Closure, tree: Tree, op_id: str) -> Edit | None:
        """The daemon's own part of a change that makes a check true; None when there is none to make."""
        ...


class Claims(Protocol):
    """File claims of the router: a file belongs to one active op."""

    async def widen(self, op_id: str, paths: Collection[str]) -> bool:
        """Claim more files; False when another active op holds one of them (then nothing was claimed)."""
        ...

    async def wait_free(self, op_id: str, paths: Collection[str], *, limit_s: float) -> bool:
        """Wait until no other op holds one of ``paths``; False when that takes longer than ``limit_s``."""
        ...


class PostureDoor(Protocol):
    """How hard the daemon leans in, by name; what no prompt has words for is told nobody."""

    def __call__(self) -> str: ...


class WorkSource(Protocol):
    """Where ops come from and are given back: the intake router."""

    async def next(self) -> Operation: ...

    async def started(self, op_id: str) -> None: ...

    async def renew(self, op_id: str) -> None: ...

    async def park(self, op_id: str) -> None: ...

    async def unpark(self, op_id: str) -> None: ...

    async def finish(
        self, op_id: str, state: State, *, cause: RootCause, branch: str | None = None, retry: bool = False
    ) -> None: ...
