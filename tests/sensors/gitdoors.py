"""The doors of the sensors over real git."""

from __future__ import annotations

import os
from collections.abc import Collection

from tools.git import Git


class GitIgnores:
    """What git ignores, asked from git; counts the questions."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self.asked = 0

    async def ignored_folders(self) -> Collection[str]:
        self.asked += 1
        listed = await self._git.call("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
        return [path.rstrip("/") for path in listed.fields if path.endswith("/")]

    async def ignored_among(self, paths: Collection[str]) -> Collection[str]:
        stdin = b"\0".join(os.fsencode(path) for path in paths)
        return (await self._git.call("check-ignore", "-z", "--stdin", stdin=stdin, ok=(0, 1))).fields
