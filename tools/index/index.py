"""The code index: facts by file content, parsed once and cached.

It knows no paths: :mod:`tools.index.checkout` passes it changed files of the checkout, and :mod:`tools.index.view` maps
the paths of an op's workspace to contents. So a result is never older than the file that it is about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from tools.git import Git
from tools.index.facts import Import, IndexedFile, unread
from tools.index.parse import Parse, SourceText, parse
from tools.index.store import FactStore
from tools.index.trees import batches, read_blobs, sizes

PORTION_FILES = 100  # contents that are parsed and stored at once: the most that a cancellation loses


class CodeIndex:
    """See the module. :meth:`forget` keeps ``limit`` contents; files of more than ``largest_bytes`` are not read."""

    def __init__(
        self,
        *,
        store: FactStore | None = None,
        parse: Parse = parse,
        limit: int = 50_000,
        largest_bytes: int = 1024 * 1024,
    ) -> None:
        self.largest_bytes = largest_bytes
        self._store = FactStore() if store is None else store
        self._parse = parse
        self._limit = limit

    async def learn(self, contents: Mapping[str, bytes], *, background: bool = False) -> None:
        """Parse and store ``contents`` (key to bytes), unless they are known already."""
        left = sorted(await self.missing(contents))
        for start in range(0, len(left), PORTION_FILES):
            keys = left[start : start + PORTION_FILES]
            sources = [SourceText(key.rpartition(".")[2], contents[key]) for key in keys]
            found = await self._parse(sources, background=background)
            await asyncio.to_thread(self._store.put, dict(zip(keys, found, strict=True)))

    async def learn_blobs(
        self, git: Git, keys: Collection[str], *, word: str | None = None, background: bool = False
    ) -> None:
        """The same for contents in git's object store; with ``word`` only those that contain it."""
        missing = await self.missing(keys)
        by_oid: dict[str, list[str]] = {}
        for key in missing:
            by_oid.setdefault(key.partition(".")[0], []).append(key)
        found = await asyncio.to_thread(sizes, git, list(by_oid))
        large = {oid for oid, size in found.items() if size > self.largest_bytes}
        await self.leave_out([key for oid in large for key in by_oid[oid]])
        for batch in batches({oid: size for oid, size in found.items() if oid not in large}):
            data = await asyncio.to_thread(read_blobs, git, batch)
            wanted = {oid: text for oid, text in data.items() if word is None or word.encode() in text}
            contents = {key: text for oid, text in wanted.items() for key in by_oid[oid]}
            await self.learn(contents, background=background)

    async def leave_out(self, keys: Collection[str]) -> None:
        """Store that the contents of ``keys`` are too large to be read."""
        why = unread(f"it is larger than {self.largest_bytes} bytes")
        await asyncio.to_thread(self._store.put, dict.fromkeys(keys, why))

    async def missing(self, keys: Collection[str]) -> set[str]:
        """Those of ``keys`` that are not in the index."""
        return await asyncio.to_thread(self._store.missing, keys)

    async def facts(self, keys: Sequence[str]) -> dict[str, IndexedFile]:
        """Facts of those of ``keys`` that are in the index."""
        return await asyncio.to_thread(self._store.get, keys)

    async def having(self, word: str) -> dict[str, IndexedFile]:
        """Facts of all contents that define or call ``word`` (or contain it, where they have a syntax error)."""
        return await asyncio.to_thread(self._store.having, word)

    async def imports(self, keys: Collection[str]) -> dict[str, tuple[Import, ...]]:
        """Imports of those of ``keys`` that are in the index."""
        return await asyncio.to_thread(self._store.imports, keys)

    async def forget(self, *, keep: Collection[str]) -> int:
        """Drop the oldest contents beyond the limit, but none of ``keep``; returns how many."""
        return await asyncio.to_thread(self._store.forget_beyond, self._limit, keep=keep)

    async def close(self) -> None:
        """Close the store."""
        await asyncio.to_thread(self._store.close)
