"""What the pool reports to a reader in this process. It outlives a pool that is replaced."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from governance.pipeline.ending import Ending

KEPT_ENDINGS = 64


class WorkReports:
    """``ended``: the newest endings of ops; when full, the oldest is dropped.

    ``out_of_budget`` is set while no op runs because the day's budget is spent.
    """

    def __init__(self) -> None:
        self.ended: asyncio.Queue[Ending] = asyncio.Queue(KEPT_ENDINGS)
        self.out_of_budget = asyncio.Event()

    def add(self, ending: Ending) -> None:
        """Report how an op ended."""
        if self.ended.full():
            self.ended.get_nowait()
        self.ended.put_nowait(ending)
