"""Ports that sensors and governance share: the tree on which a closure check is evaluated."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from ledger.vocabulary import TestRun


class TreeFilesPort(Protocol):
    """All files of one tree."""

    async def sizes(self) -> Mapping[str, int]:
        """Size in bytes of each regular file."""
        ...

    async def read_many(self, paths: Collection[str]) -> Mapping[str, bytes]:
        """Bytes of those ``paths`` that are regular files."""
        ...


class TreePort(TreeFilesPort, Protocol):
    """One tree, on which a closure check is evaluated."""

    async def run(self, ids: Sequence[str] | None, *, instead: Mapping[str, bytes] | None = None) -> TestRun:
        """Run these tests on this tree; None: all. ``instead``: file contents to replace for this run."""
        ...

    async def read(self, path: str) -> bytes | None:
        """Bytes of a regular file; None when there is none."""
        ...

    async def produce(
        self, argv: Sequence[str], *, path: str, limit_s: float, largest: int
    ) -> tuple[bytes | None, str]:
        """Run a command in the sandbox. Returns the content of the file that it writes at ``path`` (at most
        ``largest`` bytes), or None and the reason.
        """
        ...
