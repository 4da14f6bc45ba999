"""File claims: a file belongs to one active op."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping


class FileClaims:
    """Who holds which file. Synchronous, so that looking and taking are one step on the event loop."""

    def __init__(self) -> None:
        self._holder: dict[str, str] = {}
        self._files: dict[str, set[str]] = {}
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def holders(self) -> Mapping[str, str]:
        """Path to op id."""
        return self._holder

    def of(self, op_id: str) -> tuple[str, ...]:
        """What an op holds, sorted."""
        return tuple(sorted(self._files.get(op_id, ())))

    def blocker(self, paths: Collection[str], *, op_id: str | None = None) -> tuple[str, str] | None:
        """The first of ``paths`` that another op holds, with that op; None when all are free."""
        for path in paths:
            holder = self._holder.get(path)
            if holder is not None and holder != op_id:
                return path, holder
        return None

    def take(self, op_id: str, paths: Collection[str]) -> tuple[str, ...] | None:
        """Claim all of ``paths`` or none. Returns those that are new to the op, or None when one is taken."""
        if self.blocker(paths, op_id=op_id) is not None:
            return None
        new = tuple(path for path in dict.fromkeys(paths) if path not in self._holder)
        for path in new:
            self._holder[path] = op_id
        self._files.setdefault(op_id, set()).update(new)
        return new

    def give_back(self, op_id: str, paths: Collection[str]) -> None:
        """Release some of an op's files (a claim that could not be recorded)."""
        held = self._files.get(op_id, set())
        for path in paths:
            if path in held:
                held.discard(path)
                del self._holder[path]

    def freed(self) -> asyncio.Future[None]:
        """Done when an op next releases its files."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def release(self, op_id: str) -> tuple[str, ...]:
        """Release everything that an op holds."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        files = tuple(self._files.pop(op_id, ()))
        for path in files:
            del self._holder[path]
        return files
