"""What GATE says of the ground that a candidate stands on: act, look again, or ask. Pure."""

from __future__ import annotations

from enum import StrEnum

from governance.grounding.policy import PolicySettings, grounding, wanted_trust
from ledger.vocabulary import Complexity, Frozen, Tier

THIN = "grounding.sources"
"""Rule of the feedback of a candidate with too few sources behind it."""


class Stand(StrEnum):
    """``ACT``: this rule has no objection. ``REGROUND``: back to GENERATE, for more evidence. ``ASK``: a person."""

    ACT = "act"
    REGROUND = "reground"
    ASK = "ask"


class Facts(Frozen):
    """What the judgement rests on. ``risk``: the tier without this rule; ``again``: evidence may be gathered again."""

    risk: Tier
    complexity: Complexity
    trust_bp: int
    proximity_milli: int
    sources: tuple[str, ...]
    again: bool
    settings: PolicySettings


class Standing(Frozen):
    stand: Stand
    min_sources: int
    why: str


def judge(facts: Facts) -> Standing:
    """Too few sources, or an answer that is none, is mended by evidence first; too little trust by a person only."""
    asked = grounding(facts.risk, facts.complexity, facts.trust_bp, facts.proximity_milli, facts.settings)
    lacking, have = [], len(facts.sources)
    if have < asked.min_sources:
        lacking.append(f"{have} of {asked.min_sources} independent sources ({', '.join(facts.sources) or 'none'})")
    if facts.proximity_milli >= facts.settings.alarm_milli:
        lacking.append(f"its answer had collapsed (canary {facts.proximity_milli / 1000:.2f})")
    trust = wanted_trust(facts.risk, facts.settings)
    if lacking:
        stand = Stand.REGROUND if facts.again else Stand.ASK
    elif facts.trust_bp < trust:
        stand = Stand.ASK
    else:
        stand = Stand.ACT
    if facts.trust_bp < trust:
        lacking.append(f"trust {facts.trust_bp / 10_000:.2f} of {trust / 10_000:.2f} for {facts.risk.name}")
    return Standing(stand=stand, min_sources=asked.min_sources, why="; ".join(lacking))
