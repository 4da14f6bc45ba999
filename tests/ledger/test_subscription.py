"""Followers see every entry in order, never hold up the writer, and end with the ledger."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ledger.clock import SystemClock
from ledger.store import Ledger, LedgerSettings, Subscription
from tests.ledger.drafts import REPO_ID, draft


async def _all(subscription: Subscription) -> list[int]:
    return [entry.seq async for entry in subscription]


async def test_a_follower_sees_what_is_appended_after_it_came(ledger: Ledger) -> None:
    await ledger.append(draft())
    async with ledger.subscribe() as early:
        following = asyncio.create_task(_all(early))
        await ledger.append(draft(), draft())
        async with ledger.subscribe() as late:
            await ledger.append(draft())
            await ledger.close()
            assert await following == [2, 3, 4]
            assert await _all(late) == [4]
    assert (early.missed, late.missed) == (0, 0)


async def test_a_slow_follower_misses_the_oldest_and_is_told(path: Path) -> None:
    ledger = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock(), settings=LedgerSettings(subscriber_limit=3))
    async with ledger.subscribe() as slow:
        for _ in range(10):
            await ledger.append(draft())  # nobody takes: the writer goes on
        await ledger.close()
        assert (await _all(slow), slow.missed) == ([8, 9, 10], 7)


async def test_a_follower_that_left_gets_nothing(ledger: Ledger) -> None:
    async with ledger.subscribe() as gone:
        await ledger.append(draft())
    await ledger.append(draft())
    assert await _all(gone) == [1]


async def test_following_a_closed_ledger_ends_at_once(ledger: Ledger) -> None:
    await ledger.close()
    async with ledger.subscribe() as subscription:
        assert await _all(subscription) == []


async def test_only_what_landed_is_shown(ledger: Ledger) -> None:
    async with ledger.subscribe() as subscription:
        results = await asyncio.gather(
            ledger.append(draft(1)),
            ledger.append(draft(2), project=[("INSERT INTO nowhere VALUES (1)", ())]),
            ledger.append(draft(3)),
            return_exceptions=True,
        )
        assert isinstance(results[1], Exception)
        await ledger.close()
        assert [e.payload["number"] async for e in subscription] == [1, 3]
