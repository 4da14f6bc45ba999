"""The ports of the sensors over real git."""

from __future__ import annotations

from collections.abc import Collection

from daemon.adapters.sensor_ports import RepositoryIgnores
from tools.git import Git


class GitIgnores(RepositoryIgnores):
    """What git ignores, asked from git as the daemon asks; counts the questions."""

    def __init__(self, git: Git) -> None:
        super().__init__(git=git)
        self.asked = 0

    async def ignored_folders(self) -> Collection[str]:
        self.asked += 1
        return await super().ignored_folders()
