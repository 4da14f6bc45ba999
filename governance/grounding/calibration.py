"""Calibration: how well the confidence of claims agrees with their outcomes over the whole ledger. Integers only.

Brier score: mean squared distance between confidence and outcome (10000 for true, 0 for false), in basis points of the
maximum: 0 is perfect, and a constant confidence of one half scores 2500.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Final

from governance.grounding.trust import BATCH, Trust, read_table, trust_bp
from ledger.events.change import ChangeRollingBack, ReviewRejected, UndoMade
from ledger.events.event import read_event
from ledger.events.grounding import About, ClaimMade, ClaimOutcome, ClaimsGraded, Graded
from ledger.events.op import OpEnded
from ledger.store import Ledger
from ledger.vocabulary import Entry, FailureClass, Frozen

WORST_BP: Final = 10_000
BINS: Final = 10
INCIDENTS: Final = frozenset({FailureClass.COLLAPSE, FailureClass.INTERNAL})
TROUBLE: Final = (UndoMade, ReviewRejected, ChangeRollingBack)
"""Events that count as an incident of an op even when it ended well."""

READ: Final = ((ClaimMade, ClaimsGraded), (OpEnded, *TROUBLE))
"""Classes of the events that :class:`CalibrationCounter` needs, for two passes over the ledger."""


class Bin(Frozen):
    """Claims with a confidence of at least ``low_bp``: their number, mean confidence, and how many came true."""

    low_bp: int
    n: int = 0
    mean_bp: int = 0
    hits: int = 0

    @property
    def rate_bp(self) -> int:
        return WORST_BP * self.hits // self.n if self.n else 0


class KindShare(Frozen):
    """Outcomes of the claims of one kind. ``records``: all claims; ``open``: those without an outcome yet."""

    about: About
    records: int = 0
    hits: int = 0
    misses: int = 0
    void: int = 0
    brier_bp: int | None = None  # of the claims with a confidence
    n: int = 0  # number of the claims with a confidence

    @property
    def open(self) -> int:
        return max(0, self.records - self.hits - self.misses - self.void)


class TrustRow(Frozen):
    """A trust key with its tally."""

    key: str
    hits: int
    n: int
    trust_bp: int


class Calibration(Frozen):
    """Calibration figures. ``accepted``: committed changes; ``held``: those neither undone nor rejected later.

    ``agrees``: the stored trust table equals the one computed from the ledger.
    """

    records: int = 0
    closed: int = 0
    beyond: int = 0  # replies without a record of their own
    brier_bp: int | None = None
    n: int = 0
    shares: tuple[KindShare, ...] = ()
    bins: tuple[Bin, ...] = ()
    ops: int = 0
    incidents: int = 0
    accepted: int = 0
    held: int = 0
    trust: tuple[TrustRow, ...] = ()
    agrees: bool = True

    @property
    def precision_bp(self) -> int | None:
        """Share of accepted changes that held."""
        return WORST_BP * self.held // self.accepted if self.accepted else None

    @property
    def incidents_per_hundred(self) -> int | None:
        return 100 * self.incidents // self.ops if self.ops else None


class CalibrationCounter:
    """Accumulates entries into a :class:`Calibration`. Entries of one kind must come in ledger order."""

    def __init__(self) -> None:
        self._records: Counter[About] = Counter()
        self._ends: Counter[tuple[About, ClaimOutcome]] = Counter()
        self._n: Counter[int] = Counter()
        self._hits: Counter[int] = Counter()
        self._sums: Counter[int] = Counter()
        self._square: Counter[About] = Counter()
        self._with: Counter[About] = Counter()
        self._beyond = self._accepted = self._held = 0
        self._ops: set[str] = set()
        self._troubled: set[str] = set()
        self.trust = Trust()

    def take(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            event, op = read_event(entry), entry.op_id or ""
            if isinstance(event, ClaimMade):
                self._records[event.about] += 1
            elif isinstance(event, ClaimsGraded):
                self._beyond += event.beyond
                for graded in event.grades:
                    self._grade(graded)
            elif isinstance(event, OpEnded):
                self._ops.add(op)
                if event.failure_class in INCIDENTS:
                    self._troubled.add(op)
            elif isinstance(event, TROUBLE):
                self._troubled.add(op)

    def _grade(self, graded: Graded) -> None:
        self.trust.learn(graded)
        self._count(graded, graded.outcome, 1)
        if graded.was is not None:
            self._count(graded, graded.was, -1)
        if graded.about is About.CHANGE:
            is_hit = graded.outcome is ClaimOutcome.HIT
            self._accepted += is_hit and graded.was is None
            self._held += is_hit - (graded.was is ClaimOutcome.HIT)

    def _count(self, graded: Graded, outcome: ClaimOutcome, by: int) -> None:
        self._ends[graded.about, outcome] += by
        confidence_bp = graded.confidence_bp
        if confidence_bp is None or outcome is ClaimOutcome.VOID:
            return
        is_hit = outcome is ClaimOutcome.HIT
        place = min(confidence_bp * BINS // WORST_BP, BINS - 1)
        self._n[place] += by
        self._sums[place] += by * confidence_bp
        self._hits[place] += by * is_hit
        self._with[graded.about] += by
        self._square[graded.about] += by * (confidence_bp - (WORST_BP if is_hit else 0)) ** 2

    def result(self, *, agrees: bool = True) -> Calibration:
        shares = tuple(self._share(about) for about in About if self._records[about])
        bins = (
            Bin(low_bp=place * WORST_BP // BINS, n=n, mean_bp=self._sums[place] // n, hits=self._hits[place])
            for place in range(BINS)
            if (n := self._n[place])
        )
        n = sum(self._with.values())
        return Calibration(
            records=sum(share.records for share in shares),
            closed=sum(share.records - share.open for share in shares),
            beyond=self._beyond,
            brier_bp=sum(self._square.values()) // (n * WORST_BP) if n else None,
            n=n,
            shares=shares,
            bins=tuple(bins),
            ops=len(self._ops),
            incidents=len(self._troubled & self._ops),
            accepted=self._accepted,
            held=self._held,
            trust=tuple(
                TrustRow(key=str(key), hits=tally.hits, n=tally.n, trust_bp=trust_bp(tally))
                for key, tally in sorted(self.trust.tallies.items(), key=lambda row: str(row[0]))
            ),
            agrees=agrees,
        )

    def _share(self, about: About) -> KindShare:
        n = self._with[about]
        return KindShare(
            about=about,
            records=self._records[about],
            hits=self._ends[about, ClaimOutcome.HIT],
            misses=self._ends[about, ClaimOutcome.MISS],
            void=self._ends[about, ClaimOutcome.VOID],
            brier_bp=self._square[about] // (n * WORST_BP) if n else None,
            n=n,
        )


async def calibration_of(ledger: Ledger) -> Calibration:
    """Calibration over the whole ledger up to now. Some seconds for 100,000 claims, without blocking the event loop."""
    counter = CalibrationCounter()
    upto, table = await read_table(ledger)
    for events in READ:
        after = 0
        while entries := await ledger.entries(events=events, after=after, limit=BATCH):
            after = entries[-1].seq
            await asyncio.to_thread(counter.take, [entry for entry in entries if entry.seq <= upto])
            if after > upto:
                break
    return await asyncio.to_thread(counter.result, agrees=dict(counter.trust.tallies) == table)
