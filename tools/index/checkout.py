"""Keeps the index current with the owner's checkout: committed and saved files are indexed before an op needs them.

Incremental: for a saved file one file is parsed, for a commit those that it changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from ledger.errors import PolicyRefused
from tools import contained
from tools.git import Git
from tools.index.index import CodeIndex
from tools.index.languages import language_of
from tools.index.trees import key_of, list_sources, oid_of
from tools.repository import Repository

READ_AT_ONCE = 32  # files held in memory


class CheckoutFeed:
    """Indexes files of the checkout; called by the file watcher."""

    def __init__(self, *, index: CodeIndex, git: Git, repository: Repository) -> None:
        self._index = index
        self._git = git
        self._repository = repository
        self._like = ""  # an object id of this repository: its length shows the hash function

    async def take_in(self) -> None:
        """Index all source files of HEAD and the uncommitted ones; drop contents beyond the limit.

        Raises ``GitFailed``, ``ChildFailed`` or ``ToolError``.
        """
        head = (await self._repository.head()).commit
        if head is None:
            return
        self._like = head
        files = await asyncio.to_thread(list_sources, self._git, head)
        keys = frozenset(files.values())
        await self._index.learn_blobs(self._git, keys, background=True)
        await self.refresh([dirty.path for dirty in await self._repository.dirty()], background=True)
        await self._index.forget(keep=keys)

    async def refresh(self, paths: Collection[str], *, background: bool = False) -> None:
        """Index these files of the checkout as they are on disk. Missing and non-regular files are skipped."""
        wanted = [path for path in paths if language_of(path) is not None]
        for start in range(0, len(wanted), READ_AT_ONCE):
            contents = await asyncio.to_thread(self._read, wanted[start : start + READ_AT_ONCE])
            await self._index.learn(contents, background=background)

    def _read(self, paths: list[str]) -> dict[str, bytes]:
        found = {}
        repo = self._git.places.repo
        for path in paths:
            try:
                size = contained.size_of(repo, path) or 0
                data = contained.read_file(repo, path) if size <= self._index.largest_bytes else None
            except (PolicyRefused, OSError):  # a link, or removed meanwhile
                continue
            key = key_of(oid_of(data, like=self._like), path) if data is not None else None
            if key is not None and data is not None:
                found[key] = data
        return found
