"""Awaiting an effect to completion despite cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def uninterrupted(effect: Awaitable[T], keep: Callable[[T], None]) -> T:
    """Await ``effect`` to its end; a cancellation that arrives meanwhile is raised afterwards.

    ``keep`` gets the result in either case, so that the caller can roll back.
    """
    task = asyncio.ensure_future(effect)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except Exception:  # noqa: BLE001 - raised below by task.result(), with its own traceback
            break
    if cancelled is not None:
        if task.exception() is None:
            keep(task.result())
        raise cancelled
    result = task.result()
    keep(result)
    return result
