"""Trust: how often claims of a kind have come true, as a pure function of the log.

Whole numbers only, so that a replay gives the same to the bit. The table ``trust`` is a projection: it moves in the
transaction that appends a grade, and can be rebuilt from the record.

Trust is advice. Nothing reads it to lower a tier, to skip a gate or to widen a limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from governance.grounding.records import Graded, Outcome
from governance.grounding.records import TrustKey as TrustKey
from ledger.confidence import EVEN_BP, calibrated_bp
from ledger.store import Ledger

SCHEMA = """
CREATE TABLE IF NOT EXISTS trust (
    kind TEXT NOT NULL, name TEXT NOT NULL, hits INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (kind, name)
);
"""


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


class Trust:
    """The tallies in memory. Empty until :meth:`load`; then kept current by :meth:`learn`."""

    def __init__(self) -> None:
        self._tallies: dict[TrustKey, Tally] = defaultdict(Tally)

    async def load(self, ledger: Ledger) -> None:
        """Take over what the ledger's table says. Cheap: one row a key."""
        await ledger.ensure(SCHEMA)
        rows = await ledger.query("SELECT kind, name, hits, n FROM trust")
        loaded = {
            TrustKey.model_validate({"kind": kind, "name": name}): Tally(int(str(hits)), int(str(n)))
            for kind, name, hits, n in rows
        }
        self._tallies = defaultdict(Tally, loaded)

    def of(self, key: TrustKey) -> Tally:
        """What is known of a key; nothing is ``Tally(0, 0)``."""
        return self._tallies.get(key, Tally())

    def learn(self, record: Graded) -> None:
        """Count one grade. To be called once its entry is durable."""
        hits, n = step_of(record)
        for key in record.keys:
            self._tallies[key] = self._tallies[key].plus(hits, n)

    @property
    def tallies(self) -> Mapping[TrustKey, Tally]:
        """Every key that has an outcome."""
        return {key: tally for key, tally in self._tallies.items() if tally != Tally()}
