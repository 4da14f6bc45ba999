from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.record.reading import log_view, open_ledger
from daemon.settings.config import Config, Settings
from ledger.clock import ManualClock
from ledger.errors import ControlError, LedgerError
from ledger.store import Ledger
from ledger.vocabulary import Draft, Entry, EntryKind
from tests.daemon.scripted_api import OP
from tests.repos import host_env, make_places, make_repo

WHEN = datetime(2026, 1, 2, tzinfo=UTC)
OTHER = OP.replace("7f3a-", "beef-")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    places = make_places(tmp_path / "ours", make_repo(tmp_path / "repo"))
    return Config(settings=Settings(), places=places, env=host_env(), secret=lambda name: None)


@pytest.fixture
async def ledger(config: Config) -> AsyncIterator[Ledger]:
    places = config.places
    found = await Ledger.open(places.ledger, repo_id=places.repo_id, clock=ManualClock(WHEN))
    await found.append(Draft(kind=EntryKind.SESSION, payload={"event": "session.started"}))
    yield found
    await found.close()


async def intent(ledger: Ledger, op: str = OP) -> Entry:
    (entry,) = await ledger.append(Draft(kind=EntryKind.CHANGE, op_id=op, payload={"event": "commit.intent"}))
    return entry


async def test_the_log(config: Config, ledger: Ledger) -> None:
    for op in (OP, OTHER, OP):
        await intent(ledger, op)
    assert [e.seq for e in (await log_view(ledger, op=None, limit=2, after=None)).entries] == [3, 4]
    assert [e.seq for e in (await log_view(ledger, op=None, limit=2, after=0)).entries] == [1, 2]
    view = await log_view(ledger, op="7f3a", limit=9, after=None)
    assert [e.seq for e in view.entries] == [2, 4] and view.head == 4
    with pytest.raises(ControlError):
        await log_view(ledger, op="nothing", limit=9, after=None)


async def test_no_record_yet(config: Config) -> None:
    with pytest.raises(LedgerError, match="no record"):
        await open_ledger(config)
    assert not config.places.ledger.exists()


async def test_reading_beside_a_writer(config: Config, ledger: Ledger) -> None:
    reader = await open_ledger(config)
    try:
        await intent(ledger)
        report = await reader.verify()
        assert report.ok and report.entries == 2
    finally:
        await reader.close()


async def test_what_was_typed_and_is_no_text_names_no_op(config: Config, ledger: Ledger) -> None:
    await intent(ledger)
    with pytest.raises(ControlError, match="No op matches"):
        await log_view(ledger, op="\udcff", limit=10, after=None)
