"""A ledger in a private folder, and drafts to put in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger.clock import SystemClock
from ledger.store import Ledger
from tests.ledger.drafts import REPO_ID


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock())
    yield opened
    await opened.close()
