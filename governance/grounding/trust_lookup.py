"""Trust lookups for decisions. A decision stores the values it used, so that a replay needs no trust table.

Low trust can lower the priority of a signal or of equally good repairs, add a doubt to the reasons shown to the owner,
require more sources for a change, and finally require approval. It never extends a time limit, lowers a tier or opens a
gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from governance.grounding.claims import goal_key, source_key
from governance.grounding.trust import Tally, Trust, TrustKey, trust_bp
from ledger.confidence import EVEN_BP, calibrated_bp
from ledger.sources import SOURCES
from ledger.vocabulary import Candidate, Frozen, Operation, Route

FEW: Final = 3
"""Minimum number of outcomes for a doubt: two failures prove nothing."""


class Confidence(Frozen):
    """The confidence a sensor asserts, and the outcomes of its source's earlier claims."""

    asserted_bp: int
    hits: int
    outcomes: int

    @property
    def calibrated_bp(self) -> int:
        return calibrated_bp(self.asserted_bp, hits=self.hits, n=self.outcomes)


def confidence_of(op: Operation, trust: Trust) -> Confidence:
    """The confidence of an op's surest signal. A person's request is not calibrated."""
    tally = Tally() if SOURCES[op.origin].is_request else trust.of(source_key(op.origin))
    asserted = max(signal.confidence_bp for signal in op.signals)
    return Confidence(asserted_bp=asserted, hits=tally.hits, outcomes=tally.n)


class TrustTally(Frozen):
    """One trust key with its tally at the time of the decision."""

    key: str
    hits: int
    outcomes: int

    @property
    def doubt(self) -> str:
        """A reason for a closer look; empty when the tally gives none."""
        is_doubted = self.outcomes >= FEW and trust_bp(Tally(self.hits, self.outcomes)) < EVEN_BP
        return f"{self.key} came true {self.hits} of {self.outcomes} times so far" if is_doubted else ""


def lookup_tallies(op: Operation, candidate: Candidate, route: Route, trust: Trust) -> tuple[TrustTally, ...]:
    """The tallies of everything a change rests on: provider, route, strategy, kind of goal, and source."""
    keys = [
        TrustKey(kind="provider", name=candidate.provider),
        TrustKey(kind="route", name=route.value),
        TrustKey(kind="strategy", name=candidate.strategy),
        goal_key(op),
    ]
    keys += [] if SOURCES[op.origin].is_request else [source_key(op.origin)]
    return tuple(TrustTally(key=str(key), hits=trust.of(key).hits, outcomes=trust.of(key).n) for key in keys)


def least_bp(op: Operation, trust: Trust, *, provider: str, strategy: str = "") -> int:
    """Lowest trust among provider, kind of goal, strategy and source, of those with enough outcomes; 5000 if none has.

    ``strategy`` is empty before a candidate exists.
    """
    keys = [TrustKey(kind="provider", name=provider), goal_key(op)]
    keys += [TrustKey(kind="strategy", name=strategy)] if strategy else []
    keys += [] if SOURCES[op.origin].is_request else [source_key(op.origin)]
    return min((trust_bp(tally) for key in keys if (tally := trust.of(key)).n >= FEW), default=EVEN_BP)


def doubts(known: Sequence[TrustTally]) -> tuple[str, ...]:
    """The doubts to show to the owner; they change no decision."""
    return tuple(each.doubt for each in known if each.doubt)
