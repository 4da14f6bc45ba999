"""Subscriptions to new ledger entries that never block the writer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ledger.vocabulary import Entry


class Subscription:
    """``async with ledger.subscribe() as s: async for entry in s``.

    Buffers the newest ``limit`` entries that were not yet consumed. A consumer that is slower than the writer loses
    the oldest; ``missed`` counts them, and ``Ledger.entries(after=...)`` still returns them. Iteration ends when the
    ledger is closed and the buffer is empty.
    """

    def __init__(
        self, *, limit: int, attach: Callable[[Subscription], bool], detach: Callable[[Subscription], None]
    ) -> None:
        self.missed = 0
        self._held: deque[Entry] = deque()
        self._limit = limit
        self._attach = attach
        self._detach = detach
        self._ended = True  # until it is entered
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._ended = not self._attach(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._detach(self)
        self.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Entry:
        while not self._held:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._held.popleft()

    def offer(self, entry: Entry) -> None:
        """Buffer an entry; drops the oldest when full. Called by the writer: never waits."""
        if len(self._held) >= self._limit:
            self._held.popleft()
            self.missed += 1
        self._held.append(entry)
        self._changed.set()

    def end(self) -> None:
        """Let iteration end after the buffered entries."""
        self._ended = True
        self._changed.set()
