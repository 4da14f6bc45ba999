"""Waiting for tasks to their end, whatever happens to whoever waits."""

from __future__ import annotations

import asyncio
from typing import Any


async def all_ended(*tasks: asyncio.Future[Any]) -> bool:
    """Until all of them are done; tells whether a cancellation came meanwhile. Their errors are kept, not raised."""
    cancelled = False
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            cancelled = True
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that the loop does not complain
    return cancelled
