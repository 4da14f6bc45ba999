"""Appending, projections, blobs and reading, on a real file."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from ledger.chain import genesis
from ledger.clock import SystemClock
from ledger.database import uri
from ledger.errors import ChainBroken, LedgerError, LedgerReadOnly
from ledger.events.event import LedgerEvent
from ledger.ids import sha256_hex
from ledger.integrity.audit import audit
from ledger.store import Ledger, LedgerSettings
from ledger.vocabulary import EntryKind, Head, Spend
from tests.ledger.drafts import REPO_ID, draft, reader, tamper

NOTES = """
-- what the test's room keeps; it is rebuilt from the record
CREATE TABLE IF NOT EXISTS notes (text TEXT PRIMARY KEY, seen INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS notes_seen ON notes (seen);
CREATE TRIGGER IF NOT EXISTS notes_count AFTER INSERT ON notes BEGIN
    UPDATE notes SET seen = seen + 1 WHERE text = NEW.text;
END;
"""


def note(text: str) -> tuple[str, tuple[str, ...]]:
    return ("INSERT INTO notes (text) VALUES (?)", (text,))


async def test_entries_come_back_as_they_were_acknowledged(ledger: Ledger) -> None:
    assert ledger.head == Head(seq=0, hash=genesis(REPO_ID))
    first, second = await ledger.append(draft(1), draft(2, kind=EntryKind.RUN, op_id=None, phase=None))
    (third,) = await ledger.append(draft(1, causes=(1, 2)))
    assert [first.seq, second.seq, third.seq] == [1, 2, 3]
    assert second.prev == first.hash and third.prev == second.hash
    assert ledger.head == Head(seq=3, hash=third.hash)
    assert await ledger.entries() == [first, second, third]
    assert await ledger.entries(op_id="op-1") == [first, third]
    assert await ledger.entries(kinds={EntryKind.RUN}) == [second]
    assert await ledger.entries(after=1, limit=1) == [second]
    assert await ledger.entries(newest_first=True, limit=2) == [third, second]


async def test_the_chain_goes_on_after_reopening(ledger: Ledger, path: Path) -> None:
    (first,) = await ledger.append(draft())
    await ledger.close()
    again = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock())
    try:
        (second,) = await again.append(draft())
        assert (second.seq, second.prev) == (2, first.hash)
        assert (await again.verify()).ok
    finally:
        await again.close()


async def test_many_callers_at_once_make_one_chain(path: Path) -> None:
    settings = LedgerSettings(queue_limit=8, batch_limit=5)  # both limits are reached
    ledger = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock(), settings=settings)
    try:
        await ledger.ensure(NOTES)

        async def caller(name: int) -> list[int]:
            mine = []
            for number in range(10):
                project = [note(f"{name}/{number}")] if number % 2 else []
                mine += [e.seq for e in await ledger.append(draft(name), draft(name), project=project)]
            return mine

        seqs = await asyncio.gather(*(caller(name) for name in range(30)))
        assert sorted(seq for mine in seqs for seq in mine) == list(range(1, 601))
        assert all(mine == sorted(mine) for mine in seqs)
        report = await ledger.verify()
        assert (report.ok, report.entries, report.head) == (True, 600, ledger.head)
        assert await ledger.query("SELECT count(*) FROM notes") == [(150,)]
    finally:
        await ledger.close()


async def test_a_group_shares_its_transactions(ledger: Ledger, path: Path) -> None:
    await ledger.append(draft())
    before = (path.parent / (path.name + "-wal")).stat().st_size
    await asyncio.gather(*(ledger.append(draft(n)) for n in range(200)))
    grown = (path.parent / (path.name + "-wal")).stat().st_size - before
    # Alone, each of 200 transactions writes at least one page for the table, two indexes and the head.
    assert grown < 200 * 4 * 4096 // 3


async def test_a_failing_projection_fails_its_own_caller_only(ledger: Ledger) -> None:
    await ledger.ensure(NOTES)
    results = await asyncio.gather(
        ledger.append(draft(1), project=[note("a")]),
        ledger.append(draft(2), project=[note("b"), note("a")]),  # breaks the key: neither row nor entry lands
        ledger.append(draft(3), project=[note("c")]),
        ledger.append(draft(4), project=[("INSERT INTO nowhere VALUES (1)", ())]),
        ledger.append(draft(5), project=[("INSERT INTO notes (text) VALUES (?)", (2**70,))]),
        ledger.append(draft(6), project=[("INSERT OR ROLLBACK INTO notes (text) VALUES (?)", ("a",))]),
        ledger.append(draft(7)),
        return_exceptions=True,
    )
    failed = [n for n, result in enumerate(results, start=1) if isinstance(result, LedgerError)]
    assert failed == [2, 4, 5, 6]
    assert [e.payload["number"] for e in await ledger.entries()] == [1, 3, 7]
    assert await ledger.query("SELECT text, seen FROM notes ORDER BY text") == [("a", 1), ("c", 1)]
    assert not ledger.read_only
    assert (await ledger.verify()).ok


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "COMMIT",
        "DROP TABLE entries",
        "PRAGMA writable_schema=1",
        "INSERT INTO entries VALUES (1)",
        "insert or replace into blobs values (1)",
        "UPDATE chain SET seq = 0",
        'UPDATE OR IGNORE "entries" SET kind = 0',
    ],
)
async def test_projections_cannot_reach_the_record(ledger: Ledger, sql: str) -> None:
    with pytest.raises(LedgerError):
        await ledger.append(draft(), project=[(sql, ())])
    assert ledger.head.seq == 0


async def test_a_projection_is_defined_whole_or_not_at_all(ledger: Ledger) -> None:
    with pytest.raises(LedgerError):
        await ledger.ensure("CREATE TABLE one (a); CREATE TABLE entries (a);")
    with pytest.raises(LedgerError):
        await ledger.ensure("CREATE TABLE one (a); DROP TABLE entries;")
    with pytest.raises(LedgerError):
        await ledger.query("SELECT * FROM one")
    await asyncio.gather(*(ledger.ensure(NOTES) for _ in range(3)))
    assert await ledger.query("SELECT * FROM notes") == []


async def test_a_definition_is_run_once_for_an_open_ledger(ledger: Ledger, path: Path) -> None:
    await ledger.ensure(NOTES)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE notes")
    await ledger.ensure(NOTES)
    assert not await ledger.query("SELECT 1 FROM sqlite_master WHERE name = 'notes'")
    await ledger.close()
    ledger = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock())
    try:
        await ledger.ensure(NOTES)
        assert await ledger.query("SELECT * FROM notes") == []
    finally:
        await ledger.close()


async def test_a_definition_that_did_not_land_is_run_again(ledger: Ledger) -> None:
    for _ in range(2):
        with pytest.raises(LedgerError):
            await ledger.ensure("CREATE TABLE entries (a);")
    task = asyncio.create_task(ledger.ensure(NOTES))
    await asyncio.sleep(0)
    task.cancel()  # before its turn: it leaves no trace
    await asyncio.wait({task})
    await ledger.ensure(NOTES)
    assert task.cancelled() and await ledger.query("SELECT * FROM notes") == []


async def test_a_projection_may_be_moved_without_an_entry(ledger: Ledger) -> None:
    await ledger.ensure(NOTES)
    assert await ledger.append(project=[note("a")]) == ()
    assert await ledger.append() == ()
    assert (await ledger.query("SELECT count(*) FROM notes"), ledger.head.seq) == ([(1,)], 0)


async def test_causes_must_be_entries_that_stand(ledger: Ledger) -> None:
    await ledger.append(draft())
    for causes in ((2,), (0,), (1, 7)):
        with pytest.raises(LedgerError):
            await ledger.append(draft(causes=causes))
    assert ledger.head.seq == 1


async def test_a_payload_that_cannot_be_stored_lands_nothing(ledger: Ledger) -> None:
    with pytest.raises(LedgerError):
        await ledger.append(draft(), draft(payload={"share": 0.5}))
    assert ledger.head.seq == 0 and await ledger.entries() == []


async def test_cancelled_callers_do_no_harm(ledger: Ledger) -> None:
    await ledger.ensure(NOTES)
    for turns in range(12):  # cancelled at every stage, from "not asked yet" to "landed"
        tasks = [asyncio.create_task(ledger.append(draft(n), project=[note(f"{turns}/{n}")])) for n in range(6)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [r for r in results[1::2] if isinstance(r, BaseException)]
    report = await ledger.verify()
    assert report.ok and report.head == ledger.head
    assert await ledger.query("SELECT count(*) FROM notes") == [(ledger.head.seq,)]  # whole or not at all


async def test_what_waits_at_close_lands_and_what_comes_later_is_refused(path: Path) -> None:
    ledger = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock(), settings=LedgerSettings(queue_limit=4))
    early = [asyncio.create_task(ledger.append(draft(n))) for n in range(10)]
    await asyncio.sleep(0)
    await ledger.close()
    results = await asyncio.gather(*early, return_exceptions=True)
    landed = [r for r in results if not isinstance(r, BaseException)]
    assert len(landed) >= 4 and all(isinstance(r, tuple | LedgerError) for r in results)
    for late in (ledger.append(draft()), ledger.put_blob(b"x"), ledger.entries(), ledger.ensure(NOTES)):
        with pytest.raises(LedgerError, match="closed"):
            await late
    await ledger.close()
    again = await reader(path)
    assert again.head.seq == len(landed)
    await again.close()


async def test_blobs_are_kept_under_their_hash(ledger: Ledger) -> None:
    data = bytes(range(256)) * 300
    sha = await ledger.put_blob(data)
    assert sha == sha256_hex(data)
    assert await asyncio.gather(*(ledger.put_blob(data) for _ in range(3))) == [sha] * 3
    assert await ledger.get_blob(sha) == data
    assert await ledger.query("SELECT count(*), max(size) FROM blobs") == [(1, len(data))]
    with pytest.raises(LedgerError, match="no blob"):
        await ledger.get_blob("0" * 64)


async def test_blobs_may_land_with_the_entry_that_names_them(ledger: Ledger) -> None:
    with pytest.raises(LedgerError):
        await ledger.append(draft(), blobs=[b"diff"], project=[("INSERT INTO nowhere VALUES (1)", ())])
    assert await ledger.query("SELECT count(*) FROM blobs") == [(0,)]
    await ledger.append(draft(payload={"diff": sha256_hex(b"diff")}), blobs=[b"diff", b"diff", b""])
    assert await ledger.get_blob(sha256_hex(b"diff")) == b"diff"
    assert await ledger.get_blob(sha256_hex(b"")) == b""


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entries SET kind = kind",
        "DELETE FROM entries WHERE seq = 2",
        "INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE seq = 1",
        "INSERT INTO entries SELECT 9, at, op_id, kind, phase, body, prev, hash FROM entries WHERE seq = 1",
        "UPDATE blobs SET size = 0",
        "DELETE FROM blobs",
        "INSERT OR REPLACE INTO blobs SELECT sha256, 0, x'00' FROM blobs",
        "DELETE FROM chain",
    ],
)
async def test_the_record_is_append_only_for_everybody(ledger: Ledger, path: Path, sql: str) -> None:
    await ledger.append(draft(), draft(), blobs=[b"data"])
    with (
        closing(sqlite3.connect(path)) as other,
        pytest.raises(sqlite3.IntegrityError, match=r"append-only|next entry"),
    ):
        other.execute(sql)
    assert (await ledger.verify()).ok


async def test_a_query_cannot_write(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="read-only"):
        await ledger.query("CREATE TABLE mine (a)")


async def test_a_reader_works_beside_a_live_writer(ledger: Ledger, path: Path) -> None:
    (first,) = await ledger.append(draft())
    beside = await reader(path)
    try:
        (second,) = await ledger.append(draft())
        assert await beside.entries() == [first, second]
        assert (await beside.verify()).head == ledger.head
        assert beside.read_only and beside.head.seq == 1
        for refused in (beside.append(draft()), beside.put_blob(b""), beside.ensure(NOTES)):
            with pytest.raises(LedgerReadOnly):
                await refused
    finally:
        await beside.close()
    await ledger.append(draft())


async def test_verify_finds_what_was_changed_behind_its_back(ledger: Ledger, path: Path) -> None:
    for number in range(5):
        await ledger.append(draft(number), blobs=[str(number).encode()])
    good = ledger.head
    await ledger.close()
    tamper(path, ("UPDATE entries SET op_id = 'op-9' WHERE seq = 2", ()))
    found = await reader(path)
    report = await found.verify()
    assert (report.ok, report.first_bad, report.entries) == (False, 2, 1)
    assert "op_id" in report.reason
    with pytest.raises(ChainBroken) as caught:
        report.raise_if_broken()
    assert caught.value.seq == 2
    await found.close()

    tamper(path, ("UPDATE entries SET op_id = 'op-1' WHERE seq = 2", ()), ("DELETE FROM entries WHERE seq > 3", ()))
    found = await reader(path)
    report = await found.verify()
    assert (report.first_bad, report.reason) == (4, "entries 4 to 5 are missing at the end")
    await found.close()

    # Whoever also moves the witness in the file is caught by a head that stands in a signed commit.
    tamper(path, ("UPDATE chain SET seq = 3, hash = (SELECT hash FROM entries WHERE seq = 3)", ()))
    found = await reader(path)
    assert (await found.verify()).ok
    assert (await found.verify(anchors=[good])).first_bad == 4
    await found.close()


async def test_a_changed_blob_is_found(ledger: Ledger, path: Path) -> None:
    sha = await ledger.put_blob(b"evidence")
    await ledger.append(draft())
    tamper(path, ("UPDATE blobs SET data = x'00'", ()))
    report = await ledger.verify()
    assert (report.ok, report.first_bad, report.bad_blobs) == (False, None, (sha,))
    with pytest.raises(LedgerError, match="changed"):
        await ledger.get_blob(sha)


async def test_a_changed_entry_is_not_handed_out(ledger: Ledger, path: Path) -> None:
    await ledger.append(draft(), draft())
    changed = "replace(body, 'GATE', 'PLAN')"
    for value in (changed, f"CAST({changed} AS BLOB)"):
        tamper(path, (f"UPDATE entries SET body = {value} WHERE seq = 2", ()))
        with pytest.raises(ChainBroken, match="Entry 2"):
            await ledger.entries()
    assert [e.seq for e in await ledger.entries(limit=1)] == [1]


async def test_a_verify_that_is_cancelled_ends(ledger: Ledger) -> None:
    await ledger.append(*(draft(n) for n in range(3000)))
    task = asyncio.create_task(ledger.verify())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await ledger.verify()).entries == 3000


async def test_a_walk_that_was_told_to_stop_stops(ledger: Ledger, path: Path) -> None:
    await ledger.append(draft(), draft())
    stop = threading.Event()
    stop.set()
    origin = Head(seq=0, hash=genesis(REPO_ID))
    assert (await asyncio.to_thread(audit, uri(path), origin=origin, anchors={}, stop=stop)).entries == 0


class A(LedgerEvent, kind=EntryKind.CHANGE, name="a"):
    pass


class Ab(LedgerEvent, kind=EntryKind.CHANGE, name="ab"):
    pass


async def test_entries_of_named_events(ledger: Ledger) -> None:
    told = [{"event": "a"}, {"event": "b", "said": '"event":"a"'}, {"event": "ab"}, {}]
    await ledger.append(*(draft(n, kind=EntryKind.CHANGE, payload=payload) for n, payload in enumerate(told)))
    assert [e.seq for e in await ledger.entries(events=(A,))] == [1]
    assert [e.seq for e in await ledger.entries(events=(A, Ab))] == [1, 3]
    assert await ledger.entries(kinds=(EntryKind.RUN,), events=(A,)) == []


@pytest.mark.parametrize("size", [1, 3, 7, 100])
async def test_a_long_record_in_slices(ledger: Ledger, size: int) -> None:
    await ledger.append(*(draft(n) for n in range(200)))
    slices = [each async for each in ledger.slices(after=4, size=size)]
    assert [e for each in slices for e in each] == await ledger.entries(after=4)
    assert max(len(each) for each in slices) == min(size, 196)


async def test_what_an_op_has_cost_is_the_most_that_its_newest_entries_know(ledger: Ledger) -> None:
    assert await ledger.spent("op-1") == Spend()
    costs = [Spend(calls=1, working_ms=9), Spend(calls=2, usd_micro=5), Spend()]
    await ledger.append(*(draft(n, op_id="op-1", spend=cost) for n, cost in enumerate(costs)))
    await ledger.append(draft(9, op_id="op-2", spend=Spend(calls=7)))
    assert await ledger.spent("op-1") == Spend(calls=2, usd_micro=5, working_ms=9)
