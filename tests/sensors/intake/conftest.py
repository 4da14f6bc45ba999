"""A ledger of its own for each test, and a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger.clock import ManualClock
from ledger.store import Ledger
from tests.sensors.signals import START, open_ledger


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def ledger(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Ledger]:
    async with open_ledger(tmp_path / "ledger.sqlite3", clock) as opened:
        yield opened
