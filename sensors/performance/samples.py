"""What was measured, by metric and commit: durable, so that a restart forgets no baseline."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from ledger.clock import Clock, stamp
from ledger.events.sensing import MetricsTaken
from ledger.store import Ledger, Statement
from ledger.vocabulary import Frozen
from sensors.performance.measurements import Measurement

SCHEMA = """
CREATE TABLE IF NOT EXISTS metric_samples (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    metric TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    value REAL NOT NULL,
    at TEXT NOT NULL,
    worse INTEGER NOT NULL DEFAULT 0,
    UNIQUE (metric, commit_id, value)
);
"""
KEPT = 2_000  # measurements of one metric


class Earlier(Frozen):
    """A measurement of a commit before. ``worse``: it was called so at its time."""

    commit: str
    value: float
    worse: bool = False


class MetricSeries(Frozen):
    """One metric up to a commit: ``now`` is the median of what was measured there, ``earlier`` is the oldest first."""

    now: float
    earlier: tuple[Earlier, ...] = ()


def baseline(earlier: Sequence[Earlier], least: int) -> tuple[Earlier, ...]:
    """Pure: what is usual. What was worse at its time is not, unless nothing else was measured of late."""
    lately = tuple(earlier[-least:])
    if len(lately) == least and all(each.worse for each in lately):
        return lately
    return tuple(each for each in earlier if not each.worse)


class Samples:
    """Reads and writes them. A value that was measured at a commit before is the same measurement read again."""

    def __init__(self, *, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def take(self, measured: Sequence[tuple[Measurement, str]]) -> int:
        """Remember measurements, each with its commit; how many of them are new."""
        await self._ledger.ensure(SCHEMA)
        before = await self._count()
        now = stamp(self._clock.now())
        rows: list[Statement] = [
            (
                "INSERT OR IGNORE INTO metric_samples (metric, commit_id, value, at) VALUES (?, ?, ?, ?)",
                (each.name, commit, each.value, now),
            )
            for each, commit in measured
            if not await self._knows(each, commit)
        ]
        if not rows:
            return 0
        cut: list[Statement] = [
            (
                "DELETE FROM metric_samples WHERE metric = ? AND n <= "
                "(SELECT n FROM metric_samples WHERE metric = ? ORDER BY n DESC LIMIT 1 OFFSET ?)",
                (name, name, KEPT),
            )
            for name in dict.fromkeys(each.name for each, _ in measured)
        ]
        commits = tuple(sorted({commit for _, commit in measured})[:20])
        taken = MetricsTaken(sensor="performance_regression", new=len(rows), commits=commits, known=before)
        await self._ledger.append(taken.draft(), project=[*rows, *cut])
        return len(rows)

    async def course(self, metric: str, commit: str, *, window: int) -> MetricSeries | None:
        """What is known of a metric at a commit; None when it was not measured there."""
        await self._ledger.ensure(SCHEMA)
        sql = "SELECT n, value FROM metric_samples WHERE metric = ? AND commit_id = ? ORDER BY n"
        here = await self._ledger.query(sql, (metric, commit))
        if not here:
            return None
        first = int(str(here[0][0]))
        sql = "SELECT commit_id, value, worse FROM metric_samples WHERE metric = ? AND n < ? ORDER BY n DESC LIMIT ?"
        rows = await self._ledger.query(sql, (metric, first, window))
        earlier = tuple(
            Earlier(commit=str(found), value=float(str(value)), worse=bool(worse))
            for found, value, worse in reversed(rows)
        )
        return MetricSeries(now=median(float(str(value)) for _, value in here), earlier=earlier)

    async def mark(self, metric: str, commit: str) -> None:
        """Mark a measurement as worse than usual: it is no part of the baseline."""
        sql = "UPDATE metric_samples SET worse = 1 WHERE metric = ? AND commit_id = ?"
        await self._ledger.append(project=[(sql, (metric, commit))])

    async def _knows(self, each: Measurement, commit: str) -> bool:
        sql = "SELECT 1 FROM metric_samples WHERE metric = ? AND commit_id = ? AND value = ?"
        return bool(await self._ledger.query(sql, (each.name, commit, each.value)))

    async def _count(self) -> int:
        return int(str((await self._ledger.query("SELECT count(*) FROM metric_samples"))[0][0]))
