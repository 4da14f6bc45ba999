"""Trees to ask closure checks on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from ledger.vocabulary import TestRun


async def nothing_is_run(ids: Sequence[str]) -> TestRun:
    raise AssertionError("no test was to be run")


class Held:
    """A tree that is held in memory; ``run`` runs its tests."""

    def __init__(
        self,
        files: Mapping[str, str] | None = None,
        *,
        run: Callable[[Sequence[str]], Awaitable[TestRun]] = nothing_is_run,
    ) -> None:
        self._files = files or {}
        self._run = run

    async def run(self, ids: Sequence[str]) -> TestRun:
        return await self._run(ids)

    async def read(self, path: str) -> bytes | None:
        text = self._files.get(path)
        return None if text is None else text.encode()
