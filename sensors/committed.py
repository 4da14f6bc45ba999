"""The files of a commit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sensors.doors import HistoryDoor


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedFiles:
    """A ``FilesDoor`` on one commit."""

    repository: HistoryDoor
    commit: str

    async def sizes(self) -> Mapping[str, int]:
        return await self.repository.sizes(self.commit)

    async def read_many(self, paths: Collection[str]) -> Mapping[str, bytes]:
        return await self.repository.read_many(self.commit, paths)
