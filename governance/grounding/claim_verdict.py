"""The verdict of GATE on the sources of a candidate: act, re-ground, or require approval. Pure."""

from __future__ import annotations

from enum import StrEnum

from governance.grounding.policy import PolicySettings, grounding, required_trust
from governance.grounding.sources import weight_of
from ledger.events.grounding import Band, weight_bp
from ledger.vocabulary import Complexity, Frozen, Tier

ONE_SOURCE_BP = weight_bp(Band.NOW)
TOO_FEW_SOURCES = "grounding.sources"
"""Feedback rule of a candidate with too few sources."""


class GroundingVerdict(StrEnum):
    """``ACT``: no objection. ``REGROUND``: back to GENERATE for more evidence. ``ASK``: approval is required."""

    ACT = "act"
    REGROUND = "reground"
    ASK = "ask"


class GroundingFacts(Frozen):
    """Input of the verdict. ``risk``: the tier without this rule; ``again``: evidence may be gathered once more.

    ``stale``: those of ``sources`` that are not current.
    """

    risk: Tier
    complexity: Complexity
    trust_bp: int
    proximity_milli: int
    sources: tuple[str, ...]
    again: bool
    settings: PolicySettings
    stale: tuple[tuple[str, Band], ...] = ()


class ClaimVerdict(Frozen):
    """The verdict (``stand``), the number of sources that were needed, and what is lacking."""

    stand: GroundingVerdict
    min_sources: int
    why: str


def format_sources(facts: GroundingFacts) -> str:
    """The sources as text, with the age of stale ones."""
    bands = dict(facts.stale)
    names = (f"{name} ({bands[name].value})" if name in bands else name for name in facts.sources)
    return ", ".join(names) or "none"


def judge(facts: GroundingFacts) -> ClaimVerdict:
    """Too few sources or a collapsed answer: re-ground once, then require approval. Too little trust: require it."""
    needed = grounding(facts.risk, facts.complexity, facts.trust_bp, facts.proximity_milli, facts.settings)
    lacking, have = [], weight_of(facts.sources, facts.stale)
    if have < ONE_SOURCE_BP * needed.min_sources:
        lacking.append(
            f"{have / ONE_SOURCE_BP:g} of {needed.min_sources} independent sources ({format_sources(facts)})"
        )
    if facts.proximity_milli >= facts.settings.alarm_milli:
        lacking.append(f"its answer had collapsed (canary {facts.proximity_milli / 1000:.2f})")
    trust = required_trust(facts.risk, facts.settings)
    if lacking:
        stand = GroundingVerdict.REGROUND if facts.again else GroundingVerdict.ASK
    elif facts.trust_bp < trust:
        stand = GroundingVerdict.ASK
    else:
        stand = GroundingVerdict.ACT
    if facts.trust_bp < trust:
        lacking.append(f"trust {facts.trust_bp / 10_000:.2f} of {trust / 10_000:.2f} for {facts.risk.name}")
    return ClaimVerdict(stand=stand, min_sources=needed.min_sources, why="; ".join(lacking))
