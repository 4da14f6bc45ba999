"""Which gaps were met by which ops: durable, bounded in time and number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from ledger.clock import Clock, stamp
from ledger.events.event import LedgerEvent
from ledger.events.sensing import GapReported, GapSeen
from ledger.store import Ledger, Statement
from sensors.capability_gap.gaps import Gap, GapKind, OpSightings

SCHEMA = """
CREATE TABLE IF NOT EXISTS gap_sightings (
    gap TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, why TEXT NOT NULL, op TEXT NOT NULL, class TEXT NOT NULL,
    depth INTEGER NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL, PRIMARY KEY (gap, op)
);
CREATE TABLE IF NOT EXISTS gap_rounds (
    gap TEXT PRIMARY KEY, round INTEGER NOT NULL, signal TEXT NOT NULL, said TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS gap_read (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL);
"""
MOST_SIGHTINGS = 2_000
DAY = timedelta(days=1)


class Met(NamedTuple):
    """A gap with its sightings, oldest first: the goal class and the entry of each, and the deepest of their ops."""

    gap: Gap
    classes: tuple[str, ...]
    seqs: tuple[int, ...]
    depth: int


class Round(NamedTuple):
    """``number`` counts how often a gap was served; ``signal``: the one emitted for it in this round."""

    number: int = 0
    signal: str = ""


class GapMemory:
    """In the ledger's database. Each change of it is an entry that names the entries it rests on."""

    def __init__(self, *, ledger: Ledger, clock: Clock, days: float) -> None:
        self._ledger = ledger
        self._clock = clock
        self._days = days

    async def read_up_to(self) -> int | None:
        """The last entry whose op is remembered; None before the first."""
        rows = await self._query("SELECT seq FROM gap_read")
        return int(str(rows[0][0])) if rows else None

    async def met(self) -> tuple[Met, ...]:
        """Every gap that was met within the time, the one that was met most first."""
        rows = await self._query(
            "SELECT kind, name, why, class, seq, depth FROM gap_sightings WHERE at > ? ORDER BY seq", self._oldest()
        )
        by_gap: dict[tuple[str, str], list[tuple[object, ...]]] = {}
        for row in rows:
            by_gap.setdefault((str(row[0]), str(row[1])), []).append(row)
        found = (
            Met(
                gap=Gap(GapKind(kind), name, str(seen[-1][2])),
                classes=tuple(str(row[3]) for row in seen),
                seqs=tuple(int(str(row[4])) for row in seen),
                depth=max(int(str(row[5])) for row in seen),
            )
            for (kind, name), seen in by_gap.items()
        )
        return tuple(sorted(found, key=lambda met: (-len(met.seqs), str(met.gap))))

    async def round_of(self, gap: Gap) -> Round:
        rows = await self._query("SELECT round, signal FROM gap_rounds WHERE gap = ?", str(gap))
        return Round(int(str(rows[0][0])), str(rows[0][1])) if rows else Round()

    async def count_recent(self) -> int:
        """Signals within a day."""
        since = stamp(self._clock.now() - DAY)
        rows = await self._query("SELECT count(*) FROM gap_rounds WHERE said > ?", since)
        return int(str(rows[0][0]))

    async def see(self, seen: OpSightings, up_to: int) -> tuple[str, ...]:
        """Remember what an op met; returns the gaps that it shows to be served, of those that were met before.

        An op that met nothing and served nothing leaves no trace.
        """
        met = {str(met.gap): met for met in await self.met()}
        served = {gap: seq for gap, seq in seen.served if gap in met}
        new = [each for each in seen.gaps if str(each.gap) not in served]
        if not new and not served:
            return ()
        at = stamp(self._clock.now())
        changes: list[Statement] = [
            (
                "INSERT OR IGNORE INTO gap_sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (str(e.gap), e.gap.kind.value, e.gap.name, e.gap.why, seen.op, seen.goal_class, seen.depth, e.seq, at),
            )
            for e in new
        ]
        for gap in served:
            changes += [
                ("DELETE FROM gap_sightings WHERE gap = ?", (gap,)),
                ("UPDATE gap_rounds SET round = round + 1, signal = '' WHERE gap = ?", (gap,)),
            ]
        changes += [
            ("DELETE FROM gap_sightings WHERE at <= ?", (self._oldest(),)),
            ("DELETE FROM gap_sightings WHERE rowid <= (SELECT max(rowid) FROM gap_sightings) - ?", (MOST_SIGHTINGS,)),
            ("INSERT OR REPLACE INTO gap_read VALUES (1, ?)", (up_to,)),
        ]
        met_now = tuple(str(e.gap) for e in new)
        event = GapSeen(op=seen.op, goal_class=seen.goal_class, met=met_now, served=tuple(sorted(served)))
        causes = tuple(sorted({*(e.seq for e in new), *served.values()}))
        await self._write(event, causes, *changes)
        return tuple(served)

    async def say(self, met: Met, number: int, signal: str, status: str) -> None:
        """A signal was taken in."""
        put: Statement = (
            "INSERT OR REPLACE INTO gap_rounds VALUES (?, ?, ?, ?)",
            (str(met.gap), number, signal, stamp(self._clock.now())),
        )
        await self._write(GapReported(gap=str(met.gap), signal=signal, status=status), met.seqs, put)

    def _oldest(self) -> str:
        return stamp(self._clock.now() - timedelta(days=self._days))

    async def _query(self, sql: str, *values: str) -> list[tuple[object, ...]]:
        await self._ledger.ensure(SCHEMA)
        return [tuple(row) for row in await self._ledger.query(sql, values)]

    async def _write(self, event: LedgerEvent, causes: Sequence[int], *project: Statement) -> None:
        await self._ledger.ensure(SCHEMA)
        await self._ledger.append(event.draft(causes=tuple(causes)), project=project)
