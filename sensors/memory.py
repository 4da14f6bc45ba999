"""Durable memory of a sensor: which files it has scanned and which signals it has emitted."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import NamedTuple

from ledger.clock import Clock, stamp
from ledger.events.event import LedgerEvent
from ledger.events.sensing import FilesScanned, SignalEmitted
from ledger.store import Ledger, Statement
from ledger.vocabulary import Source

SCHEMA = """
CREATE TABLE IF NOT EXISTS sensor_looked (sensor TEXT PRIMARY KEY, commit_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sensor_said (
    sensor TEXT NOT NULL, key TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (sensor, key)
);
CREATE TABLE IF NOT EXISTS sensor_again (
    sensor TEXT NOT NULL, path TEXT NOT NULL, since TEXT NOT NULL, due TEXT NOT NULL, PRIMARY KEY (sensor, path)
);
"""
REMEMBERED = 20_000  # emitted signals kept per sensor; older ones are deleted
DAY = timedelta(days=1)
BATCH = 500  # keys per query


class Rescan(NamedTuple):
    """A file to scan again, not before ``due``; ``since`` is the commit to compare it with (None: no commit)."""

    path: str
    since: str | None
    due: str  # UTC stamp


def _batches(keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (keys[at : at + BATCH] for at in range(0, len(keys), BATCH))


class SensorMemory:
    """Files that one sensor has scanned and signals that it has emitted, in the ledger's database."""

    def __init__(self, *, ledger: Ledger, clock: Clock, sensor: Source) -> None:
        self._ledger = ledger
        self._clock = clock
        self._sensor = sensor.value

    async def last_commit(self) -> str | None:
        """The commit of the last scan; None before the first."""
        rows = await self._query("SELECT commit_id FROM sensor_looked WHERE sensor = ?", self._sensor)
        return str(rows[0][0]) if rows else None

    async def filter_emitted(self, keys: Collection[str]) -> frozenset[str]:
        """Those of ``keys`` that were emitted before."""
        found: set[str] = set()
        for some in _batches(tuple(keys)):
            marks = ", ".join("?" * len(some))
            sql = f"SELECT key FROM sensor_said WHERE sensor = ? AND key IN ({marks})"
            found.update(str(row[0]) for row in await self._query(sql, self._sensor, *some))
        return frozenset(found)

    async def count_recent(self) -> int:
        """How many signals were emitted in the last 24 hours."""
        since = stamp(self._clock.now() - DAY)
        rows = await self._query("SELECT count(*) FROM sensor_said WHERE sensor = ? AND at > ?", self._sensor, since)
        return int(str(rows[0][0]))

    async def due(self) -> tuple[Rescan, ...]:
        """The files whose rescan is due now."""
        rows = await self._query(
            "SELECT path, since, due FROM sensor_again WHERE sensor = ? AND due <= ? ORDER BY due, path",
            self._sensor,
            stamp(self._clock.now()),
        )
        return tuple(Rescan(path=str(path), since=str(since) or None, due=str(due)) for path, since, due in rows)

    async def record_emitted(self, key: str, signal_id: str, status: str) -> None:
        """Record that a signal was emitted, so that it is not emitted again."""
        await self._write(
            SignalEmitted(sensor=self._sensor, key=key, signal=signal_id, status=status),
            ("INSERT OR REPLACE INTO sensor_said VALUES (?, ?, ?)", (self._sensor, key, stamp(self._clock.now()))),
            (
                "DELETE FROM sensor_said WHERE sensor = ? AND rowid <= (SELECT max(rowid) FROM sensor_said) - ?",
                (self._sensor, REMEMBERED),
            ),
        )

    async def record_look(self, commit: str, *, looked: Collection[str], again: Mapping[str, Rescan]) -> None:
        """Record a finished scan: the files ``looked`` at, and the files to scan ``again`` later (these or others)."""
        event = FilesScanned(sensor=self._sensor, commit=commit, files=len(looked), again=len(again))
        forget: list[Statement] = [
            ("DELETE FROM sensor_again WHERE sensor = ? AND path = ?", (self._sensor, path)) for path in looked
        ]
        remember: list[Statement] = [
            ("INSERT OR REPLACE INTO sensor_again VALUES (?, ?, ?, ?)", (self._sensor, a.path, a.since or "", a.due))
            for a in again.values()
        ]
        here: Statement = ("INSERT OR REPLACE INTO sensor_looked VALUES (?, ?)", (self._sensor, commit))
        await self._write(event, *forget, *remember, here)

    async def _query(self, sql: str, *values: str) -> list[tuple[object, ...]]:
        await self._ledger.ensure(SCHEMA)
        return [tuple(row) for row in await self._ledger.query(sql, values)]

    async def _write(self, event: LedgerEvent, *project: Statement) -> None:
        await self._ledger.ensure(SCHEMA)
        await self._ledger.append(event.draft(), project=project)
