"""Tier floors from the outcomes of earlier changes to the same files, for CLASSIFY and GATE."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from governance.memory.prophecy import floors, foretell
from governance.pipeline.context import OpContext
from ledger.vocabulary import Tier


@dataclass(frozen=True, slots=True)
class Foresight:
    """``floors``: tiers with reasons; ``record``: the inputs, enough to replay the decision."""

    floors: tuple[tuple[Tier, str], ...] = ()
    record: dict[str, Any] = field(default_factory=dict)


async def foresee(ctx: OpContext, paths: Collection[str], dependents: int, tier: Tier) -> Foresight:
    """The predicted risk of changing ``paths`` by reputation. ``tier``: by the risk ladder; floors can raise it."""
    reputations = await ctx.services.memory.reputations(paths)
    if not any(reputation.outcomes for reputation in reputations):
        return Foresight()
    prophecy = foretell(reputations, dependents)
    record = {
        "reputations": [s.model_dump(mode="json") for s in reputations],
        "dependents": dependents,
        "risk_bp": prophecy.risk_bp,
        "level": prophecy.level.name,
        "confidence_bp": prophecy.confidence_bp,
    }
    return Foresight(floors=floors(prophecy, tier), record={"prophecy": record})
