"""The code index: facts by contents, read once whoever asks, and kept.

It does not know the checkout: :mod:`tools.index.checkout` tells it what changed there, :mod:`tools.index.view` which
contents an op's workspace has. So no answer can be older than the file that it speaks of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from tools.git import Git
from tools.index.facts import Facts, Import, unread
from tools.index.parse import Parse, Source, parse
from tools.index.store import FactStore
from tools.index.trees import batches, read_blobs, sizes

PORTION_FILES = 100  # what is remembered at once while much is new: so much is lost when somebody stops waiting


class CodeIndex:
    """See the module. ``limit`` contents are kept; files of more than ``largest_bytes`` are not read."""

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
        """Know the facts of ``contents`` (key to bytes). What is known already costs nothing."""
        left = sorted(await self.missing(contents))
        for start in range(0, len(left), PORTION_FILES):
            keys = left[start : start + PORTION_FILES]
            sources = [Source(key.rpartition(".")[2], contents[key]) for key in keys]
            found = await self._parse(sources, background=background)
            await asyncio.to_thread(self._store.put, dict(zip(keys, found, strict=True)))

    async def learn_blobs(
        self, git: Git, keys: Collection[str], *, word: str | None = None, background: bool = False
    ) -> None:
        """Know the facts of contents that git holds; with a ``word`` only of those in which it stands."""
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
        """Remember that the contents of ``keys`` are too large to be read."""
        why = unread(f"it is larger than {self.largest_bytes} bytes")
        await asyncio.to_thread(self._store.put, dict.fromkeys(keys, why))

    async def missing(self, keys: Collection[str]) -> set[str]:
        """Those of ``keys`` of which nothing is known yet."""
        return await asyncio.to_thread(self._store.missing, keys)

    async def facts(self, keys: Sequence[str]) -> dict[str, Facts]:
        """Facts of what is known of ``keys``."""
        return await asyncio.to_thread(self._store.get, keys)

    async def having(self, word: str) -> dict[str, Facts]:
        """Facts of all known contents that define or call ``word`` (or, where they do not parse, name it)."""
        return await asyncio.to_thread(self._store.having, word)

    async def imports(self, keys: Collection[str]) -> dict[str, tuple[Import, ...]]:
        """Imports of what is known of ``keys``."""
        return await asyncio.to_thread(self._store.imports, keys)

    async def forget(self, *, keep: Collection[str]) -> int:
        """Keep within the limit; what ``keep`` names stays."""
        return await asyncio.to_thread(self._store.forget_beyond, self._limit, keep=keep)

    async def close(self) -> None:
        """Close the store."""
        await asyncio.to_thread(self._store.close)
