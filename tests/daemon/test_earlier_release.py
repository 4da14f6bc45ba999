"""A ledger that an earlier release wrote: one op landed and was undone, one found no repair, two sessions ended."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.record.optable import fold_op
from daemon.record.replay import replay
from daemon.views.narrate import describe
from governance.grounding.trust import read_table, trust_from_ledger
from ledger.clock import SystemClock
from ledger.events.change import CommitMade, UndoMade
from ledger.events.event import UnknownEvent, read_event
from ledger.events.op import OpEnded
from ledger.events.sensing import GapSeen
from ledger.events.session import SessionEnded
from ledger.store import Ledger
from ledger.vocabulary import OpOutcome

FIXTURE = Path(__file__).parent / "data" / "earlier_release.sqlite3"
HEAD = "9c8f0e4e"


@pytest.fixture
async def earlier(tmp_path: Path) -> AsyncIterator[Ledger]:
    path = tmp_path / "ledger.sqlite3"
    shutil.copy(FIXTURE, path)
    ledger = await Ledger.open(path, repo_id="37e9527eb46e", clock=SystemClock())
    try:
        yield ledger
    finally:
        await ledger.close()


async def test_its_chain_holds_and_its_decisions_come_out_the_same(earlier: Ledger) -> None:
    report = await earlier.verify()
    assert (report.ok, report.entries, report.findings) == (True, 224, ())
    assert report.head.hash.startswith(HEAD)
    replayed = await replay(earlier, op_id=None)
    assert replayed.decisions > 40
    assert all("gate 20 was silent" in each for each in replayed.differences), "a gate that the release did not have"
    assert (await read_table(earlier))[1] == (await trust_from_ledger(earlier)).tallies


async def test_every_entry_is_read_as_an_event_and_is_shown(earlier: Ledger) -> None:
    entries = await earlier.entries()
    assert [entry.seq for entry in entries if isinstance(read_event(entry), UnknownEvent)] == []
    assert all(describe(entry) for entry in entries)


async def test_what_it_says_is_understood(earlier: Ledger) -> None:
    ended = [event.to for _, event in await earlier.events(OpEnded)]
    assert ended == [OpOutcome.COMPLETE, OpOutcome.POSTMORTEM]
    (landed, commit), (_, undone) = (*await earlier.events(CommitMade), *await earlier.events(UndoMade))
    assert undone.of == commit.commit
    view = fold_op(await earlier.entries(op_id=landed.op_id))
    assert (view.state, view.commit, view.undone_by) == (OpOutcome.COMPLETE, commit.commit, undone.commit)
    assert len(await earlier.events(SessionEnded)) == 2


async def test_fields_of_an_older_version_are_upgraded(earlier: Ledger) -> None:
    ((entry, gap),) = await earlier.events(GapSeen)
    assert "v" not in entry.payload and gap.goal_class == entry.payload["class"] == "test_failure"
    assert gap.payload()["v"] == 2
