"""Being woken by events, and waiting until nothing moves any more."""

from __future__ import annotations

import asyncio

from sensors.bus import Subscription


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
