"""Opening: what is made, what is recognised, what is refused, and with which sentence."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.clock import SystemClock
from ledger.errors import ChainBroken, ForeignLedger, LedgerError, LedgerReadOnly
from ledger.store import Ledger, LedgerSettings
from tests.ledger.drafts import REPO_ID, draft, reader, tamper


async def writer(path: Path, **more: int) -> Ledger:
    return await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock(), settings=LedgerSettings(**more))


async def filled(path: Path, count: int = 40) -> None:
    """A closed ledger with ``count`` entries in one file."""
    ledger = await writer(path)
    for number in range(0, count, 4):
        await ledger.append(*(draft(n) for n in range(number, number + 4)), blobs=[b"x" * number])
    await ledger.close()


async def test_everything_is_private(path: Path) -> None:
    before = os.umask(0)
    try:
        ledger = await writer(path)
        await ledger.append(draft())
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
        await ledger.close()
    finally:
        os.umask(before)
    names = {"ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm", "ledger.sqlite3.lock"}
    assert modes == dict.fromkeys(names, 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_file_that_became_readable_to_others_is_closed_again(path: Path) -> None:
    await filled(path)
    path.chmod(0o644)
    await (await writer(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_folder_that_others_may_write_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o777)
    with pytest.raises(LedgerError, match="chmod 700"):
        await writer(path)
    assert list(path.parent.iterdir()) == []


async def test_a_missing_ledger_is_not_made_by_a_reader(path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger"):
        await reader(path)
    assert not path.parent.exists()


async def test_foreign_files_are_refused_and_not_touched(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    other = path.with_name("other")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    marked = path.with_name("marked")
    with closing(sqlite3.connect(marked)) as connection:
        connection.execute("PRAGMA application_id = 7")
        connection.execute("PRAGMA journal_mode = WAL")
    for content in (b"just some text, and quite a lot of it" * 40, other.read_bytes(), marked.read_bytes()):
        path.write_bytes(content)
        for attempt in (writer, reader):
            with pytest.raises(ForeignLedger, match="not a ledger"):
                await attempt(path)
        assert path.read_bytes() == content


async def test_a_newer_schema_is_refused(path: Path) -> None:
    await filled(path)
    tamper(path, ("PRAGMA user_version = 2", ()))
    for attempt in (writer, reader):
        with pytest.raises(ForeignLedger, match="schema 2"):
            await attempt(path)


async def test_the_ledger_of_another_repository_is_refused(path: Path) -> None:
    await filled(path)
    with pytest.raises(ForeignLedger, match="another repository"):
        await Ledger.open(path, repo_id="ffffffffffff", clock=SystemClock())


@pytest.mark.parametrize("begun", [False, True], ids=["empty file", "nothing but the header"])
async def test_a_making_that_was_cut_short_is_finished(path: Path, begun: bool) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch()
    if begun:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    ledger = await writer(path)
    await ledger.append(draft())
    assert (await ledger.verify()).ok
    await ledger.close()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM entries WHERE seq = 40",
        "UPDATE entries SET kind = 'run' WHERE seq = 40",
        "UPDATE entries SET hash = prev WHERE seq = 40",
        "UPDATE chain SET seq = 39",
    ],
)
async def test_nothing_is_appended_behind_an_end_that_was_tampered_with(path: Path, sql: str) -> None:
    await filled(path)
    tamper(path, (sql, ()))
    with pytest.raises(ChainBroken) as caught:
        await writer(path)
    assert caught.value.seq == 40
    looking = await reader(path)
    report = await looking.verify()
    assert not report.ok and report.entries >= 39
    await looking.close()


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
async def test_a_truncated_file_is_told_not_worked_with(path: Path, share: float) -> None:
    await filled(path, 400)
    os.truncate(path, int(path.stat().st_size * share) // 512 * 512)
    with pytest.raises(LedgerError):
        await writer(path)
    try:
        looking = await reader(path)
    except LedgerError:
        return
    assert not (await looking.verify()).ok
    await looking.close()


async def test_a_file_that_is_damaged_while_it_is_open_is_reported(path: Path) -> None:
    await filled(path)
    looking = await reader(path)
    path.write_bytes(b"not a database any more " * 200)
    report = await looking.verify()
    assert (report.ok, report.first_bad) == (False, 1)
    assert "cannot be read" in report.reason
    with pytest.raises(LedgerError):
        await looking.query("SELECT count(*) FROM entries")
    await looking.close()


async def test_a_torn_wal_loses_nothing_but_its_end(path: Path, tmp_path: Path) -> None:
    ledger = await writer(path)
    written = [(await ledger.append(draft(n)))[0] for n in range(30)]
    wal = path.with_name(path.name + "-wal")
    size = wal.stat().st_size
    kept = []
    for cut in (1, 100, 4200, size // 3, size // 2, size - 40):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir(mode=0o700)
        torn = folder / path.name
        shutil.copy(path, torn)
        shutil.copy(wal, folder / wal.name)
        os.truncate(folder / wal.name, size - cut)
        again = await writer(torn)
        entries = await again.entries()
        assert entries == written[: len(entries)]
        assert (await again.verify()).ok
        await again.append(draft())
        await again.close()
        kept.append(len(entries))
    await ledger.close()
    assert kept == sorted(kept, reverse=True) and (kept[0], kept[-1]) == (29, 0)


async def test_a_second_writer_is_refused_at_once(path: Path) -> None:
    first = await writer(path)
    with pytest.raises(LedgerReadOnly, match="Another process writes"):
        await writer(path)
    await first.append(draft())
    await first.close()
    second = await writer(path)
    await second.append(draft())
    await second.close()


async def test_a_foreign_lock_turns_the_store_read_only(path: Path) -> None:
    ledger = await writer(path, busy_timeout_ms=50)
    (first,) = await ledger.append(draft())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(*(ledger.append(draft()) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(r, LedgerReadOnly) for r in results)
        assert len({id(r) for r in results}) == 5
        assert ledger.read_only and "lock" in ledger.fault
        started = time.monotonic()
        with pytest.raises(LedgerReadOnly):
            await ledger.append(draft())
        assert time.monotonic() - started < 0.04  # at once: without asking the file again
        assert await ledger.entries() == [first]
        assert (await ledger.verify()).ok
        await ledger.close()
        with pytest.raises(LedgerReadOnly, match="lock"):
            await writer(path, busy_timeout_ms=50)
    again = await writer(path)
    await again.append(draft())
    await again.close()


async def test_rows_that_appear_behind_our_back_stop_the_writer(path: Path) -> None:
    ledger = await writer(path)
    await ledger.append(draft())
    tamper(path, ("INSERT INTO entries SELECT 2, at, op_id, kind, phase, body, prev, hash FROM entries", ()))
    with pytest.raises(LedgerReadOnly, match="refused the next entry"):
        await ledger.append(draft())
    assert ledger.read_only and (await ledger.verify()).first_bad == 2
    await ledger.close()


@given(position=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_flipped_byte_of_the_file_changes_what_is_read(path: Path, position: float, flip: int) -> None:
    """Wherever it falls: refused, or found by verify, or without meaning (free space, an index, a counter)."""
    pristine = path.with_name("pristine")
    if not pristine.exists():
        await filled(path)
        path.rename(pristine)
    image = bytearray(pristine.read_bytes())
    image[int(position * len(image))] ^= flip
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()
    path.write_bytes(image)
    try:
        ledger = await reader(path)
    except LedgerError:
        return
    report = await ledger.verify()
    if report.ok:
        numbers = [entry.payload["number"] for entry in await ledger.entries()]
        assert numbers == list(range(40))
        assert report.entries == 40
    await ledger.close()


def lay(place: Path, kind: str) -> None:
    """Put something that is no file there."""
    if kind == "a named pipe":
        os.mkfifo(place)
    elif kind == "a folder":
        place.mkdir()
    else:
        place.symlink_to("/etc/hostname")


@pytest.mark.parametrize("end", ["", "-wal"])
@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_is_taken_away_while_it_is_open_takes_nothing_more(
    path: Path, end: str, replaced: bool
) -> None:
    ledger = await writer(path)
    await ledger.append(draft())
    file, other = path.with_name(path.name + end), path.with_name("other")
    other.write_bytes(file.read_bytes())
    file.unlink()
    if replaced:
        other.rename(file)
    for _ in range(2):
        with pytest.raises(LedgerReadOnly, match=r"removed or replaced.*`ouro ledger verify`"):
            await ledger.append(draft(1))
    assert ledger.read_only and "removed or replaced" in ledger.fault
    await ledger.close()


@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal", ".lock"])
@pytest.mark.parametrize("kind", ["a named pipe", "a symbolic link", "a folder"])
async def test_what_is_no_file_in_the_place_of_one_is_named_at_once(path: Path, end: str, kind: str) -> None:
    await filled(path, 4)
    place = path.with_name(path.name + end)
    place.unlink(missing_ok=True)
    lay(place, kind)
    with pytest.raises(LedgerError, match=kind):
        await asyncio.wait_for(writer(path), 10)
    if end != ".lock":
        with pytest.raises(LedgerError, match=kind):
            await asyncio.wait_for(Ledger.open(path, repo_id=REPO_ID, clock=SystemClock(), read_only=True), 10)
