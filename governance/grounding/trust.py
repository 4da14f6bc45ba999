"""Trust: how often claims of a kind have come true, as a pure function of the log.

Whole numbers only, so that a replay gives the same to the bit. The table ``trust`` is a projection: it moves in the
transaction that appends a grade, and can be rebuilt from the record.

Trust is advice. Nothing reads it to lower a tier, to skip a gate or to widen a limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from governance.grounding.records import GRADED, Graded, Outcome, grades_in
from governance.grounding.records import TrustKey as TrustKey
from ledger.confidence import EVEN_BP, calibrated_bp
from ledger.store import Ledger, Statement
from ledger.vocabulary import Entry, EntryKind

SCHEMA = """
CREATE TABLE IF NOT EXISTS trust (
    kind TEXT NOT NULL, name TEXT NOT NULL, hits INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (kind, name)
);
"""


IS_THERE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'trust'"
SLICE = 512


@dataclass(frozen=True, slots=True)
class Tally:
    """``hits`` of ``n`` graded claims came true."""

    hits: int = 0
    n: int = 0

    def plus(self, hits: int, n: int) -> Tally:
        return Tally(self.hits + hits, self.n + n)


def trust_bp(tally: Tally) -> int:
    """``(1 + hits) / (2 + n)`` in basis points, rounded down: 5000 while nothing is known."""
    return calibrated_bp(EVEN_BP, hits=tally.hits, n=tally.n)


def step_of(graded: Graded) -> tuple[int, int]:
    """By how much hits and number change for each key of a grade, less what its record counted for before."""
    hits = (graded.outcome is Outcome.HIT) - (graded.was is Outcome.HIT)
    counted = (Outcome.HIT, Outcome.MISS)
    return hits, (graded.outcome in counted) - (graded.was in counted)


def statements(grades: Sequence[Graded]) -> tuple[Statement, ...]:
    """What moves the table, to land together with the entry of these grades."""
    running = Trust()
    for graded in grades:
        running.learn(graded)
    sql = (
        "INSERT INTO trust VALUES (?, ?, ?, ?)"
        " ON CONFLICT (kind, name) DO UPDATE SET hits = hits + excluded.hits, n = n + excluded.n"
    )
    return tuple((sql, (key.kind, key.name, t.hits, t.n)) for key, t in running.tallies.items())


def folded(entries: Iterable[Entry]) -> Trust:
    """Trust as a pure function of the log: nothing but the entries decides what comes out."""
    trust = Trust()
    for entry in entries:
        for graded in grades_in(entry):
            trust.learn(graded)
    return trust


async def from_log(ledger: Ledger) -> Trust:
    """:func:`folded` over the whole ledger, a slice at a time."""
    trust, after = Trust(), 0
    while entries := await ledger.entries(kinds=(EntryKind.GROUNDING,), events=(GRADED,), after=after, limit=SLICE):
        after = entries[-1].seq
        for entry in entries:
            for graded in grades_in(entry):
                trust.learn(graded)
    return trust


async def rebuild(ledger: Ledger) -> Trust:
    """Make the table anew from the record, and give what stands in it."""
    await ledger.ensure(SCHEMA)
    trust = await from_log(ledger)
    rows = [(key.kind, key.name, tally.hits, tally.n) for key, tally in trust.tallies.items()]
    await ledger.append(
        project=[("DELETE FROM trust", ()), *(("INSERT INTO trust VALUES (?, ?, ?, ?)", r) for r in rows)]
    )
    return trust


async def in_table(ledger: Ledger) -> tuple[int, dict[TrustKey, Tally]]:
    """What the projection says, and up to which entry; a ledger that has none says nothing."""
    if not await ledger.query(IS_THERE):
        return ledger.head.seq, {}
    rows = await ledger.query(
        "SELECT e.seq, t.kind, t.name, t.hits, t.n FROM (SELECT coalesce(max(seq), 0) AS seq FROM entries) AS e"
        " LEFT JOIN trust AS t"
    )  # one statement: both are of the same moment
    tallies = {
        TrustKey.model_validate({"kind": kind, "name": name}): Tally(int(str(hits)), int(str(n)))
        for _, kind, name, hits, n in rows
        if kind is not None
    }
    return int(str(rows[0][0])), {key: tally for key, tally in tallies.items() if tally != Tally()}


class Trust:
    """The tallies in memory. Empty until :meth:`load`; from then on never behind the record."""

    def __init__(self) -> None:
        self._tallies: dict[TrustKey, Tally] = defaultdict(Tally)
        self._upto: int | None = None  # the last entry that the table knew when it was read
        self._heard: list[Entry] = []  # what landed meanwhile

    async def load(self, ledger: Ledger) -> None:
        """Take over what the ledger's table says, one row a key; from here on every grade that lands is learned.

        Once, of a ledger that is open for writing. A table that is lost is made anew from the record.
        """
        if not await ledger.query(IS_THERE):
            await rebuild(ledger)
        ledger.hear(self._hear)
        self._upto, tallies = await in_table(ledger)
        self._tallies = defaultdict(Tally, tallies)
        heard, self._heard = self._heard, []
        for entry in heard:
            self._hear(entry)

    def _hear(self, entry: Entry) -> None:
        if self._upto is None:
            self._heard.append(entry)
        elif entry.seq > self._upto:
            for graded in grades_in(entry):
                self.learn(graded)

    def of(self, key: TrustKey) -> Tally:
        """What is known of a key; nothing is ``Tally(0, 0)``."""
        return self._tallies.get(key, Tally())

    def learn(self, record: Graded) -> None:
        """Count one grade."""
        hits, n = step_of(record)
        for key in record.keys:
            self._tallies[key] = self._tallies[key].plus(hits, n)

    @property
    def tallies(self) -> Mapping[TrustKey, Tally]:
        """Every key that has an outcome."""
        return {key: tally for key, tally in self._tallies.items() if tally != Tally()}
