"""Waiting for tasks to complete, even when the waiting task is cancelled."""

from __future__ import annotations

import asyncio
from typing import Any


async def all_ended(*tasks: asyncio.Future[Any]) -> bool:
    """Wait until all are done; True when the waiting task was cancelled meanwhile. Their exceptions are not raised."""
    cancelled = False
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            cancelled = True
    for task in tasks:
        if not task.cancelled():
            task.exception()  # retrieved, so that the loop does not log it
    return cancelled
