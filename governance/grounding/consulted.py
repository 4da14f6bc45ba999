"""Trust where it is consulted, with what was consulted: a decision stores it, so that a replay needs no trust.

It can put a signal further back, a repair further down among its equals, and a doubt into the reasons that a person
reads; where it is low a change needs more ground to stand on, and in the end a person's yes. It gives no op more time,
lowers no tier, and opens no gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from governance.grounding.claims import PEOPLE, goal_key, source_key
from governance.grounding.trust import Tally, Trust, TrustKey, trust_bp
from ledger.confidence import EVEN_BP, calibrated_bp
from ledger.vocabulary import Candidate, Frozen, Operation, Route

FEW: Final = 3
"""Outcomes below which nothing is said of a key: two failures are no habit."""


class Confidence(Frozen):
    """What a sensor asserts, and what came of its source's earlier claims."""

    asserted_bp: int
    hits: int
    outcomes: int

    @property
    def calibrated_bp(self) -> int:
        return calibrated_bp(self.asserted_bp, hits=self.hits, n=self.outcomes)


def confidence_of(op: Operation, trust: Trust) -> Confidence:
    """Of an op: as sure as its surest signal. What a person asks for is taken at its word."""
    tally = Tally() if op.origin in PEOPLE else trust.of(source_key(op.origin))
    asserted = max(signal.confidence_bp for signal in op.signals)
    return Confidence(asserted_bp=asserted, hits=tally.hits, outcomes=tally.n)


class Standing(Frozen):
    """One key of trust as it stood when it was consulted."""

    key: str
    hits: int
    outcomes: int

    @property
    def doubt(self) -> str:
        """Why a person should look twice; empty when nothing speaks for it."""
        is_doubted = self.outcomes >= FEW and trust_bp(Tally(self.hits, self.outcomes)) < EVEN_BP
        return f"{self.key} came true {self.hits} of {self.outcomes} times so far" if is_doubted else ""


def standings(op: Operation, candidate: Candidate, route: Route, trust: Trust) -> tuple[Standing, ...]:
    """What is known of everything that a change rests on: who asked, who wrote, how, and for what kind of goal."""
    keys = [
        TrustKey(kind="provider", name=candidate.provider),
        TrustKey(kind="route", name=route.value),
        TrustKey(kind="strategy", name=candidate.strategy),
        goal_key(op),
    ]
    keys += [] if op.origin in PEOPLE else [source_key(op.origin)]
    return tuple(Standing(key=str(key), hits=trust.of(key).hits, outcomes=trust.of(key).n) for key in keys)


def least_bp(op: Operation, trust: Trust, *, provider: str, strategy: str = "") -> int:
    """The lowest trust in what a change rests on, of what is known well enough; even where nothing is.

    ``strategy`` empty: none has proposed anything yet.
    """
    keys = [TrustKey(kind="provider", name=provider), goal_key(op)]
    keys += [TrustKey(kind="strategy", name=strategy)] if strategy else []
    keys += [] if op.origin in PEOPLE else [source_key(op.origin)]
    return min((trust_bp(tally) for key in keys if (tally := trust.of(key)).n >= FEW), default=EVEN_BP)


def doubts(known: Sequence[Standing]) -> tuple[str, ...]:
    """Reasons for whoever has to agree. None of them changes what has to be agreed to."""
    return tuple(each.doubt for each in known if each.doubt)
