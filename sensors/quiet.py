"""Waiting until nothing moves any more."""

from __future__ import annotations

import asyncio


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
