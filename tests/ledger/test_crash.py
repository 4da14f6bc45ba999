"""Real processes: killed while they append, out of space, without rights, two at once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ledger.clock import SystemClock
from ledger.errors import LedgerReadOnly
from ledger.store import Ledger
from tests.ledger.child import NOBODY, SEEN
from tests.ledger.drafts import REPO_ID, draft, reader

ROOT = Path(__file__).resolve().parents[2]


def child(what: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.child", what, str(path), *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> list[str]:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output.splitlines()


async def kill_round(path: Path, dice: random.Random) -> int:
    """Start a child that appends, kill it at some moment, look at what is left. Returns the number of entries."""
    process = child("loop", path)
    assert process.stdout is not None and process.stdin is not None
    lines = [process.stdout.readline()]  # it has begun
    await asyncio.sleep(dice.uniform(0, 0.25))
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines()
    process.stdout.close()
    process.stdin.close()
    assert process.wait() == -signal.SIGKILL
    acknowledged = [line.split() for line in lines if len(line.split()) == 2 and len(line.split()[1]) == 64]
    assert acknowledged

    ledger = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock())
    try:
        report = await ledger.verify()
        assert report.ok, report.reason
        stored = dict(await ledger.query("SELECT seq, hash FROM entries"))
        for seq, own in acknowledged:
            assert stored[int(seq)] == own
        # Each entry came with its row and its blob, or not at all.
        assert await ledger.query("SELECT count(*) FROM seen") == [(report.entries,)]
        await ledger.ensure(SEEN)
        await ledger.append(draft(), project=[("INSERT INTO seen (mark) VALUES ('after')", ())])
        return report.entries
    finally:
        await ledger.close()


@pytest.mark.parametrize("rounds", [5, pytest.param(50, marks=pytest.mark.long)])
async def test_what_was_acknowledged_survives_a_kill(path: Path, rounds: int) -> None:
    dice = random.Random(rounds)
    entries = [await kill_round(path, dice) for _ in range(rounds)]
    assert entries == sorted(set(entries))


@pytest.mark.parametrize(("size_kib", "bulk"), [(300, 0), (8192, 3_000_000)], ids=["in the commit", "in a statement"])
async def test_out_of_space_turns_the_store_read_only_and_loses_nothing(path: Path, size_kib: int, bulk: int) -> None:
    *acknowledged, last = finish(child("limit", path, str(size_kib * 1024), str(bulk)))
    report = json.loads(last)
    assert report["read_only"] and report["error"] == report["again"] == report["fault"]
    assert report["errors"] == ["LedgerReadOnly"] and "cannot be written" in report["error"]
    assert report["readable"] == report["verified"] == len(acknowledged)
    assert len(acknowledged) > 20 or bulk
    ledger = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock())  # space again
    stored = {f"{entry.seq} {entry.hash}" for entry in await ledger.entries()}
    assert stored >= set(acknowledged)
    await ledger.append(draft())
    assert (await ledger.verify()).ok
    await ledger.close()


async def test_another_process_keeps_the_ledger_until_it_ends(path: Path) -> None:
    process = child("hold", path)
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(LedgerReadOnly, match="Another process writes"):
        await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock())
    looking = await reader(path)
    assert (await looking.verify()).ok
    await looking.close()
    finish(process)
    await (await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock())).close()


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
async def test_without_the_right_to_write_one_can_still_read(folder: bool) -> None:
    # Not below pytest's own folder, which nobody else may enter.
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o755)
        path = Path(base) / "state" / "ledger.sqlite3"
        ledger = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock())
        await ledger.append(draft(), draft())
        await ledger.close()
        if os.geteuid() == 0:
            for owned in (path.parent, *path.parent.iterdir()):
                os.chown(owned, NOBODY, NOBODY)
        path.chmod(0o600 if folder else 0o400)
        path.parent.chmod(0o500 if folder else 0o700)
        (report,) = finish(child("unprivileged", path))
        path.parent.chmod(0o700)
    found = json.loads(report)
    assert found.get("writing", ["opened"])[0] == "LedgerReadOnly", found
    assert "is read-only" in found["writing"][1] or "cannot be opened" in found["writing"][1]
    assert (found["readable"], found["verified"]) == (2, True)
