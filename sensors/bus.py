"""The event bus: producers publish, consumers subscribe by topic.

Each subscription has a bounded queue. A slow consumer loses the oldest events and gets their number.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from ledger.clock import Clock
from ledger.ids import sha256_hex


class Topic(StrEnum):
    FILES_CHANGED = "files.changed"  # paths of the work tree, relative
    REFS_MOVED = "refs.moved"  # HEAD, a branch, or the marks of a merge or rebase
    REFS_ELSEWHERE = "refs.elsewhere"  # the same of another repository that the owner names; absolute
    NAMED_CHANGED = "named.changed"  # files outside of the source that the owner names, absolute
    TESTS_REPORTED = "tests.reported"  # files in the spool folder, absolute
    ISSUE_TOLD = "issue.told"  # news of an issue wait in the ledger
    HEALTH_SAMPLED = "health.sampled"  # the machine was looked at: the only event of a daemon at rest
    BUILD_FAILED = "build.failed"  # somebody else's build of a commit: the commit is the text


class BusSettings(BaseModel):
    """Bounds of the event spine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queue_limit: int = Field(
        256, ge=1, description="Events a slow consumer may fall behind before it loses the oldest."
    )
    dedup_window_s: float = Field(60.0, ge=0, description="The same fingerprint is published once in this time.")
    dedup_limit: int = Field(4096, ge=1, description="Fingerprints that are remembered.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened. ``everything``: more than can be listed, look at all of it. ``text`` comes from outside:
    data.

    ``fingerprint`` is set by producers whose events may reach us twice (a webhook, a report file). A producer of
    states (a file, a ref) leaves it empty: back to an earlier state is not a repeat.
    """

    topic: Topic
    paths: tuple[str, ...] = ()
    everything: bool = False
    fingerprint: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event, and how many were lost to this consumer just before it."""

    event: Event
    missed: int


def fingerprint(*parts: str) -> str:
    """sha256 over the parts, each with its length so that they cannot run into one another."""
    return sha256_hex("".join(f"{len(part)}:{part}" for part in parts))


class Subscription:
    """``async with bus.subscribe(...) as events: async for delivery in events``; leaving it unsubscribes."""

    def __init__(self, *, bus: Bus, topics: Collection[Topic], limit: int) -> None:
        self.topics = frozenset(topics)
        self._bus = bus
        self._limit = limit
        self._held: deque[Event] = deque()
        self._missed = 0
        self._changed = asyncio.Event()
        self._ended = False

    def unsubscribe(self) -> None:
        """No event comes after those that are held; twice is once."""
        self._ended = True
        self._changed.set()
        self._bus.forget(self)

    def offer(self, event: Event) -> None:
        """Called by the bus; never waits."""
        if len(self._held) >= self._limit:
            self._held.popleft()
            self._missed += 1
            self._bus.missed += 1
        self._held.append(event)
        self._changed.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unsubscribe()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        while not self._held:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        missed, self._missed = self._missed, 0
        return Delivery(self._held.popleft(), missed)


class Bus:
    """Publishes events to subscribers. Belongs to one event loop."""

    def __init__(self, *, clock: Clock, settings: BusSettings | None = None) -> None:
        self._clock = clock
        self._settings = settings or BusSettings()
        self._subscriptions: list[Subscription] = []
        self._seen: OrderedDict[str, float] = OrderedDict()
        self.published = 0
        self.repeated = 0
        self.missed = 0  # by consumers that were too slow, all together

    def subscribe(self, *topics: Topic) -> Subscription:
        """Receive events of ``topics`` from now on."""
        subscription = Subscription(bus=self, topics=topics, limit=self._settings.queue_limit)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Called by a subscription that ends."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def publish(self, event: Event) -> bool:
        """Hand an event to its subscribers; False when its fingerprint was published within the window."""
        if event.fingerprint and self._repeats(event.fingerprint):
            self.repeated += 1
            return False
        self.published += 1
        for subscription in tuple(self._subscriptions):
            if event.topic in subscription.topics:
                subscription.offer(event)
        return True

    def _repeats(self, mark: str) -> bool:
        now = self._clock.monotonic()
        seen = self._seen.get(mark)
        if seen is not None and now - seen < self._settings.dedup_window_s:
            return True
        self._seen[mark] = now
        self._seen.move_to_end(mark)
        if len(self._seen) > self._settings.dedup_limit:
            self._seen.popitem(last=False)
        return False


async def wake_at(events: Subscription, wake: asyncio.Event) -> None:
    """Set ``wake`` at each event, until cancelled."""
    async for _ in events:
        wake.set()


async def until_quiet(wake: asyncio.Event, *, quiet_s: float, most_s: float) -> None:
    """Return when nothing has set ``wake`` for ``quiet_s``, or after ``most_s``; ``wake`` is cleared then."""
    latest = asyncio.get_running_loop().time() + most_s
    quiet = False
    while not quiet and asyncio.get_running_loop().time() < latest:
        wake.clear()
        try:
            async with asyncio.timeout(quiet_s):
                await wake.wait()
        except TimeoutError:
            quiet = True
    wake.clear()
