"""Trees to ask closure checks on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from ledger.vocabulary import TestRun


async def nothing_is_run(ids: Sequence[str] | None) -> TestRun:
    raise AssertionError("no test was to be run")


class Held:
    """A tree that is held in memory; ``run`` runs its tests."""

    def __init__(
        self,
        files: Mapping[str, str] | None = None,
        *,
        run: Callable[[Sequence[str] | None], Awaitable[TestRun]] = nothing_is_run,
    ) -> None:
        self._files = files or {}
        self._run = run

    async def run(self, ids: Sequence[str] | None, *, instead: Mapping[str, bytes] | None = None) -> TestRun:
        return await self._run(ids)

    async def read(self, path: str) -> bytes | None:
        text = self._files.get(path)
        return None if text is None else text.encode()

    async def sizes(self) -> dict[str, int]:
        return {path: len(text.encode()) for path, text in self._files.items()}

    async def read_many(self, paths: Collection[str]) -> dict[str, bytes]:
        return {path: text.encode() for path, text in self._files.items() if path in paths}
