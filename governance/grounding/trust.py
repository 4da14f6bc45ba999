"""Trust: how often claims of a kind came true, as a pure function of the ledger.

Integers only, so that a replay is exact. The table ``trust`` is a projection: it is updated in the transaction that
appends a grade, and can be rebuilt from the entries.

Trust is advisory. It never lowers a tier, skips a gate or raises a limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ledger.confidence import EVEN_BP, calibrated_bp
from ledger.events.grounding import ClaimOutcome, ClaimsGraded, Graded, grades_in
from ledger.events.grounding import TrustKey as TrustKey
from ledger.store import Ledger, Statement
from ledger.vocabulary import Entry

SCHEMA = """
CREATE TABLE IF NOT EXISTS trust (
    kind TEXT NOT NULL, name TEXT NOT NULL, hits INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (kind, name)
);
"""


TABLE_EXISTS = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'trust'"
BATCH = 512


@dataclass(frozen=True, slots=True)
class Tally:
    """``hits`` of ``n`` graded claims came true."""

    hits: int = 0
    n: int = 0

    def plus(self, hits: int, n: int) -> Tally:
        return Tally(self.hits + hits, self.n + n)


def trust_bp(tally: Tally) -> int:
    """``(1 + hits) / (2 + n)`` in basis points, rounded down: 5000 without outcomes."""
    return calibrated_bp(EVEN_BP, hits=tally.hits, n=tally.n)


def tally_change(graded: Graded) -> tuple[int, int]:
    """How a grade changes ``hits`` and ``n`` of each of its keys, less the grade that it replaces."""
    hits = (graded.outcome is ClaimOutcome.HIT) - (graded.was is ClaimOutcome.HIT)
    counted = (ClaimOutcome.HIT, ClaimOutcome.MISS)
    return hits, (graded.outcome in counted) - (graded.was in counted)


def update_statements(grades: Sequence[Graded]) -> tuple[Statement, ...]:
    """SQL updates of the table, to commit together with the entry of these grades."""
    running = Trust()
    for graded in grades:
        running.learn(graded)
    sql = (
        "INSERT INTO trust VALUES (?, ?, ?, ?)"
        " ON CONFLICT (kind, name) DO UPDATE SET hits = hits + excluded.hits, n = n + excluded.n"
    )
    return tuple((sql, (key.kind, key.name, t.hits, t.n)) for key, t in running.tallies.items())


def trust_from(entries: Iterable[Entry]) -> Trust:
    """Trust computed from ``entries`` alone."""
    trust = Trust()
    for entry in entries:
        for graded in grades_in(entry):
            trust.learn(graded)
    return trust


async def trust_from_ledger(ledger: Ledger) -> Trust:
    """:func:`trust_from` over the whole ledger, in batches."""
    trust, after = Trust(), 0
    while entries := await ledger.entries(events=(ClaimsGraded,), after=after, limit=BATCH):
        after = entries[-1].seq
        for entry in entries:
            for graded in grades_in(entry):
                trust.learn(graded)
    return trust


async def rebuild(ledger: Ledger) -> Trust:
    """Rebuild the table from the ledger; returns its contents."""
    await ledger.ensure(SCHEMA)
    trust = await trust_from_ledger(ledger)
    rows = [(key.kind, key.name, tally.hits, tally.n) for key, tally in trust.tallies.items()]
    await ledger.append(
        project=[("DELETE FROM trust", ()), *(("INSERT INTO trust VALUES (?, ?, ?, ?)", r) for r in rows)]
    )
    return trust


async def read_table(ledger: Ledger) -> tuple[int, dict[TrustKey, Tally]]:
    """Sequence number of the last entry, and the table's tallies; no tallies when there is no table."""
    if not await ledger.query(TABLE_EXISTS):
        return ledger.head.seq, {}
    rows = await ledger.query(
        "SELECT e.seq, t.kind, t.name, t.hits, t.n FROM (SELECT coalesce(max(seq), 0) AS seq FROM entries) AS e"
        " LEFT JOIN trust AS t"
    )  # one statement, so that both are consistent
    tallies = {
        TrustKey.model_validate({"kind": kind, "name": name}): Tally(int(str(hits)), int(str(n)))
        for _, kind, name, hits, n in rows
        if kind is not None
    }
    return int(str(rows[0][0])), {key: tally for key, tally in tallies.items() if tally != Tally()}


class Trust:
    """Tallies in memory. Empty until :meth:`load`, then kept up to date with the ledger."""

    def __init__(self) -> None:
        self._tallies: dict[TrustKey, Tally] = defaultdict(Tally)
        self._table_seq: int | None = None  # last entry included in the table when it was read
        self._pending: list[Entry] = []  # entries appended during load

    async def load(self, ledger: Ledger) -> None:
        """Read the table, then learn every grade that is appended from now on.

        Call once, with a ledger open for writing. A missing table is rebuilt.
        """
        if not await ledger.query(TABLE_EXISTS):
            await rebuild(ledger)
        ledger.hear(self._on_entry)
        self._table_seq, tallies = await read_table(ledger)
        self._tallies = defaultdict(Tally, tallies)
        pending, self._pending = self._pending, []
        for entry in pending:
            self._on_entry(entry)

    def _on_entry(self, entry: Entry) -> None:
        if self._table_seq is None:
            self._pending.append(entry)
        elif entry.seq > self._table_seq:
            for graded in grades_in(entry):
                self.learn(graded)

    def of(self, key: TrustKey) -> Tally:
        """The tally of a key; ``Tally(0, 0)`` if unknown."""
        return self._tallies.get(key, Tally())

    def learn(self, record: Graded) -> None:
        """Count one grade."""
        hits, n = tally_change(record)
        for key in record.keys:
            self._tallies[key] = self._tallies[key].plus(hits, n)

    @property
    def tallies(self) -> Mapping[TrustKey, Tally]:
        """Every key with an outcome."""
        return {key: tally for key, tally in self._tallies.items() if tally != Tally()}
