"""Predicted risk of changing some files, from the outcomes of earlier changes. Pure.

``risk = 0.3 (1 - success) + 0.3 fragility + 0.2 min(dependents / 20, 1) + 0.1`` of the worst file. HIGH or worse raises
the tier by one step. So does a file with three outcomes or more of which less than half were good, because the formula
alone rates an always failing file without dependents as MEDIUM. Both can apply, for two steps.
"""

from __future__ import annotations

from enum import IntEnum

from governance.memory.reputation import WHOLE, Reputation
from ledger.vocabulary import Frozen, Tier

MANY_DEPENDENTS = 20
LEAST_OUTCOMES = 3
HALF = WHOLE // 2
TOLD = 2  # files that failed with it
MOST_CONFIDENT = 6_000
CONFIDENCE_EACH = 1_000


class Level(IntEnum):
    LOW = 0
    MEDIUM = 1
    HIGH = 2
    CRITICAL = 3


BOUNDS = ((8_000, Level.CRITICAL), (6_000, Level.HIGH), (3_000, Level.MEDIUM))


class Prophecy(Frozen):
    """Predicted risk. ``steps``: by how many the tier rises; ``reasons``: one for each step, shown to the owner."""

    risk_bp: int
    level: Level
    confidence_bp: int
    steps: int = 0
    reasons: tuple[str, ...] = ()


def risk_of(reputation: Reputation, dependents: int) -> int:
    """Risk in basis points, 1,000 to 9,000."""
    reach = min(max(dependents, 0), MANY_DEPENDENTS) * WHOLE // MANY_DEPENDENTS
    return (3 * (WHOLE - reputation.success_bp) + 3 * reputation.fragility_bp + 2 * reach + WHOLE) // 10


def level_of(risk_bp: int) -> Level:
    return next((level for bound, level in BOUNDS if risk_bp >= bound), Level.LOW)


def foretell(reputations: tuple[Reputation, ...], dependents: int) -> Prophecy:
    """The prediction for the worst file. ``dependents``: files outside the change that import one of its files."""
    worst = max(reputations, key=lambda s: (risk_of(s, dependents), s.path), default=Reputation(path=""))
    risk = risk_of(worst, dependents)
    level, reasons = level_of(risk), []
    if level >= Level.HIGH:
        reasons.append(f"memory: changes of {worst.path} were taken back or failed (risk {risk / WHOLE:.2f})")
    poor = [s for s in reputations if s.outcomes >= LEAST_OUTCOMES and s.success_bp < HALF]
    if poor:
        reason = f"memory: of {poor[0].outcomes} changes of {poor[0].path} lately, {_share(poor[0])} went well"
        reasons.append(f"{reason}{_companions(poor[0])}")
    confidence = min(MOST_CONFIDENT, CONFIDENCE_EACH * worst.outcomes)
    return Prophecy(risk_bp=risk, level=level, confidence_bp=confidence, steps=len(reasons), reasons=tuple(reasons))


def floors(prophecy: Prophecy, tier: Tier) -> tuple[tuple[Tier, str], ...]:
    """Floors above ``tier``, one for each reason."""
    return tuple((tier.raised(step), why) for step, why in enumerate(prophecy.reasons, start=1))


def _companions(reputation: Reputation) -> str:
    others = ", ".join(reputation.fails_with[:TOLD])
    return f"; in vain together with {others}" if others else ""


def _share(reputation: Reputation) -> str:
    return "none" if not reputation.good else f"{reputation.success_bp / WHOLE:.0%} by weight"
