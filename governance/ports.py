"""Ports: protocols for services of rooms that governance may not import. The composition root supplies them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from ledger.ports import TreePort
from ledger.vocabulary import Closure, ClosureAnswer, Edit, Operation, RootCause, State


class ClosurePort(Protocol):
    """The sensors' closure checks, run on an explicit tree."""

    async def is_closed(self, closure: Closure, tree: TreePort) -> ClosureAnswer: ...

    async def mark(self, closure: Closure, tree: TreePort, op_id: str) -> Edit | None:
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
