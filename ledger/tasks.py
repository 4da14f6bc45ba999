"""Running effects to completion although the waiting task is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def wait_until_done(*tasks: asyncio.Future[Any]) -> bool:
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


async def run_to_completion(effect: Awaitable[T], keep: Callable[[T], None] | None = None) -> T:
    """Await ``effect`` to its end; a cancellation that arrives meanwhile is raised afterwards.

    ``keep`` gets the result in either case, so that the caller can roll back.
    """
    task = asyncio.ensure_future(effect)
    cancelled = await wait_until_done(task)
    if keep is not None and not task.cancelled() and task.exception() is None:
        keep(task.result())
    if cancelled:
        raise asyncio.CancelledError
    return task.result()
