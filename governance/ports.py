"""Ports: protocols for services of rooms that governance may not import. The composition root supplies them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from ledger.vocabulary import Closure, Edit, Operation, RootCause, State, TestRun


class Tree(Protocol):
    """The tree on which a closure check runs."""

    async def run(self, ids: Sequence[str] | None, *, instead: Mapping[str, bytes] | None = None) -> TestRun:
        """Run these tests on this tree; None: all. ``instead``: file contents to replace for this run."""
        ...

    async def read(self, path: str) -> bytes | None:
        """Bytes of a regular file; None when there is none."""
        ...

    async def sizes(self) -> Mapping[str, int]:
        """Size in bytes of each regular file."""
        ...

    async def read_many(self, paths: Collection[str]) -> Mapping[str, bytes]:
        """Bytes of those ``paths`` that are regular files."""
        ...

    async def produce(
        self, argv: Sequence[str], *, path: str, limit_s: float, largest: int
    ) -> tuple[bytes | None, str]:
        """Run a command of the owner's in the sandbox; the file it writes at ``path``, or None and the reason."""
        ...


class ClosureAnswer(Protocol):
    """Result of a closure check, with its reason. ``gone``: the check's subject no longer exists."""

    @property
    def closed(self) -> bool: ...

    @property
    def reason(self) -> str: ...

    @property
    def gone(self) -> bool: ...


class ClosurePort(Protocol):
    """The sensors' closure checks, run on an explicit tree."""

    async def is_closed(self, closure: Closure, tree: Tree) -> ClosureAnswer: ...

    async def mark(self, closure: Closure, tree: Tree, op_id: str) -> Edit | None:
        """The daemon's own edit that satisfies the check; None when there is none to make."""
        ...


class Claims(Protocol):
    """The router's file claims: at most one active op per file."""

    async def widen(self, op_id: str, paths: Collection[str]) -> bool:
        """Claim more files; False, and nothing claimed, when another active op holds one of them."""
        ...

    async def wait_free(self, op_id: str, paths: Collection[str], *, limit_s: float) -> bool:
        """Wait until no other op holds one of ``paths``; False on time-out."""
        ...


class PosturePort(Protocol):
    """The daemon's current posture by name. Prompts omit names that they have no text for."""

    def __call__(self) -> str: ...


class WorkSource(Protocol):
    """Source of ops, to which they are returned: the intake router."""

    async def next(self) -> Operation: ...

    async def started(self, op_id: str) -> None: ...

    async def renew(self, op_id: str) -> None: ...

    async def park(self, op_id: str) -> None: ...

    async def unpark(self, op_id: str) -> None: ...

    async def finish(
        self, op_id: str, state: State, *, cause: RootCause, branch: str | None = None, retry: bool = False
    ) -> None: ...
