"""Measure the ledger on this machine: durable appends, their latency, and the rate of verification.

    python -m bench.ledger [--folder DIR] [--entries N] [--verify N]

Plain ``sqlite3`` inserts, one transaction each and with the same durability, run in the same minute on the same disk
for comparison. The folder must lie on the disk that is to be measured: on tmpfs waiting for the disk costs nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from ledger.chain import COLUMNS, link
from ledger.clock import SystemClock
from ledger.store import Ledger
from ledger.vocabulary import Draft, EntryKind, Phase

CALLERS, ROUNDS = 64, 5
REPO_ID = "0123456789ab"
TEXT = "the state before and the state after, and why"


def draft(number: int) -> Draft:
    payload = {"from": "VALIDATE", "to": "GATE", "why": TEXT, "number": number}
    return Draft(kind=EntryKind.TRANSITION, op_id=f"op-{number % 50:032x}-manual", phase=Phase.GATE, payload=payload)


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] * 1000


def row(name: str, per_s: float, times: list[float] | None = None) -> None:
    latency = f"{quantile(times, 0.5):.2f} | {quantile(times, 0.99):.2f}" if times else " | "
    print(f"| {name} | {per_s:,.0f} | {latency} |")


def plain(db: sqlite3.Connection, count: int) -> list[float]:
    """What the standard library does with as many bytes and ``synchronous=FULL``: the seconds of each insert."""
    times = []
    for number in range(count):
        started = time.perf_counter()
        db.execute(
            "INSERT INTO entries VALUES (NULL, ?, ?, ?, ?)",
            (f"op-{number % 50:032x}-manual", "transition", b"x" * 330, f"{number:064x}"),
        )
        times.append(time.perf_counter() - started)
    return times


def plain_database(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, op_id TEXT, kind TEXT, body BLOB, hash TEXT)")
    db.execute("CREATE INDEX by_op ON entries (op_id, seq)")
    db.execute("CREATE INDEX by_kind ON entries (kind, seq)")
    return db


async def ours(ledger: Ledger, count: int, callers: int) -> tuple[list[float], float]:
    """The seconds of each append, and those of all together."""
    times: list[float] = []

    async def caller() -> None:
        for number in range(count // callers):
            started = time.perf_counter()
            await ledger.append(draft(number))
            times.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return times, time.perf_counter() - started


async def measure(folder: Path, count: int, to_verify: int) -> None:
    """Rounds of each kind by turns, so that a disk that is busy for a while is busy for all of them."""
    ledger = await Ledger.open(folder / "state" / "ledger.sqlite3", repo_id=REPO_ID, clock=SystemClock())
    lone: list[float] = []
    alone: list[float] = []
    grouped: list[float] = []
    together = 0.0
    with closing(plain_database(folder / "plain.sqlite3")) as db:
        for _ in range(ROUNDS):
            lone += plain(db, count // ROUNDS // 4)
            alone += (await ours(ledger, count // ROUNDS // 4, 1))[0]
            times, seconds = await ours(ledger, count // ROUNDS, CALLERS)
            grouped += times
            together += seconds
    row("plain sqlite3, one insert a transaction", len(lone) / sum(lone), lone)
    row("append, one caller", len(alone) / sum(alone), alone)
    row(f"append, {CALLERS} callers at once", len(grouped) / together, grouped)

    while ledger.head.seq < to_verify:
        await ledger.append(*(draft(number) for number in range(500)))
    rates, worked, least = [], [], []
    for _ in range(ROUNDS):
        began = time.process_time()
        report = await ledger.verify()
        worked.append(time.process_time() - began)
        report.raise_if_broken()
        rates.append(report.entries_per_s)
        least.append(fetched_and_hashed(ledger.path))
    row(f"verify, {report.entries:,} entries, median of {ROUNDS}", sorted(rates)[ROUNDS // 2])
    row("the same by the processor's time", report.entries / sorted(worked)[ROUNDS // 2])
    row("its rows only fetched and hashed, by the processor's time", report.entries / sorted(least)[ROUNDS // 2])
    await ledger.close()


def fetched_and_hashed(path: Path) -> float:
    """Seconds of the processor that Python needs at least for the chain: each row with its columns, and one SHA-256 over its bytes."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        began = time.process_time()
        for *_, body, prev, _ in db.execute(f"SELECT {COLUMNS} FROM entries ORDER BY seq"):
            link(prev, body)
        return time.process_time() - began


def filesystem(folder: Path) -> str:
    """The kind of file system that holds ``folder``."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    holding = [m for m in mounts if folder.is_relative_to(m[1])]
    return max(holding, key=lambda m: len(m[1]))[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=None, help="a folder on the disk to measure")
    parser.add_argument("--entries", type=int, default=8_000, help="entries to append")
    parser.add_argument("--verify", type=int, default=100_000, help="entries to verify")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        print(
            f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores, "
            f"{filesystem(folder)}, load {os.getloadavg()[0]:.1f}\n"
        )
        print("| what | entries/s | p50 ms | p99 ms |\n|---|---:|---:|---:|")
        asyncio.run(measure(folder, chosen.entries, chosen.verify))


if __name__ == "__main__":
    main()
