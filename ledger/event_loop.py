"""The event loop of our own processes.

It asks the kernel by poll(2). The watches of epoll(7) are counted for all programs of a user together, and code in the
sandbox can hold every one of them: a loop on epoll could then not even begin.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` on such a loop."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.PollSelector())) as runner:
        return runner.run(work)
