"""What is known of a commit's tests: a projection, so that nothing is run again that was run before."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ledger.clock import Clock, stamp
from ledger.events.sensing import SuiteResultKnown, SuiteRun
from ledger.store import Ledger
from ledger.vocabulary import RunStatus, TestRun
from sensors.roles import KnownOutcome
from sensors.test_failure import SPEC

SCHEMA = """
CREATE TABLE IF NOT EXISTS test_outcomes (
    tree TEXT PRIMARY KEY,
    green INTEGER NOT NULL,
    red TEXT NOT NULL,
    flaky TEXT NOT NULL,
    collected INTEGER NOT NULL,
    at TEXT NOT NULL
);
"""
LISTED = 50


class Outcomes:
    """Reads and writes what is known; ``keep`` commits are remembered."""

    def __init__(self, *, ledger: Ledger, clock: Clock, keep: int) -> None:
        self._ledger = ledger
        self._clock = clock
        self._keep = keep

    async def of(self, tree: str) -> KnownOutcome | None:
        """What is known of a commit; None when its suite has not been run to an end."""
        await self._ledger.ensure(SCHEMA)
        rows = await self._ledger.query("SELECT red, flaky, collected FROM test_outcomes WHERE tree = ?", (tree,))
        if not rows:
            return None
        red, flaky, collected = rows[0]
        return KnownOutcome(
            tree=tree, red=json.loads(str(red)), flaky=json.loads(str(flaky)), collected=int(str(collected))
        )

    async def remember(self, known: KnownOutcome) -> None:
        """Write what is known, once everything that follows from it was done."""
        await self._ledger.ensure(SCHEMA)
        row: tuple[str | int, ...] = (
            known.tree,
            int(known.green),
            json.dumps(known.red),
            json.dumps(known.flaky),
            known.collected,
            stamp(self._clock.now()),
        )
        event = SuiteResultKnown(
            sensor=SPEC.source.value,
            commit=known.tree,
            green=known.green,
            red=known.red[:LISTED],
            flaky=known.flaky[:LISTED],
            collected=known.collected,
        )
        await self._ledger.append(
            event.draft(),
            project=(
                (
                    "INSERT OR REPLACE INTO test_outcomes (tree, green, red, flaky, collected, at) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    row,
                ),
                (
                    "DELETE FROM test_outcomes WHERE rowid <= (SELECT max(rowid) FROM test_outcomes) - ?",
                    (self._keep,),
                ),
            ),
        )

    async def note_run(self, tree: str, ids: Sequence[str] | None, run: TestRun) -> None:
        """Record that tests were run."""
        event = SuiteRun(
            sensor=SPEC.source.value,
            commit=tree,
            asked=None if ids is None else len(ids),
            status=run.status,
            reason=run.reason if run.status is not RunStatus.GREEN else "",
            collected=len(run.collected),
            red=tuple(result.id for result in run.red[:LISTED]),
            duration_ms=run.duration_ms,
        )
        await self._ledger.append(event.draft())
