"""How many independent sources a change needs before it may be applied. Pure.

| what raises it | sources |
|---|---|
| complexity: trivial 1, simple and moderate 2, complex 3, architectural 4; from NOTIFY_APPLY on at least 2 | base |
| trust below 5000 (more claims of this kind were wrong than right) / below 2500 | +1 / +2 |
| proximity from 500 / from 700 / from the alarm level on (thousandths; 1000 is collapsed) | +1 / +2 / +3 |

The time for further calls shrinks linearly from all of it at proximity 500 to a quarter just below the alarm level, and
is zero from there on. ``act`` is false from the alarm level on, and where trust is below the tier's minimum: highest at
SAFE_AUTO, where no person sees the change first, half of that at NOTIFY_APPLY, none at APPROVAL_REQUIRED. ``act`` means
that no approval is needed on these grounds; it permits nothing that another rule forbids.

With ``policy`` off (for measuring its effect) only collapsed answers are discarded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import Field

from kernel.provider import Report
from ledger.confidence import EVEN_BP
from ledger.vocabulary import Complexity, Frozen, Tier

ALARM_MILLI: Final = 880
"""The canary's own alarm level (``kernel/canary_levels.toml``)."""
RESTLESS_MILLI: Final = 500
NEAR_MILLI: Final = 700
WHOLE_MILLI, LEAST_MILLI = 1_000, 250
LOW_BP: Final = 2_500

BASE: Mapping[Complexity, int] = MappingProxyType(
    {
        Complexity.TRIVIAL: 1,
        Complexity.SIMPLE: 2,
        Complexity.MODERATE: 2,
        Complexity.COMPLEX: 3,
        Complexity.ARCHITECTURAL: 4,
    }
)
RISKY_SOURCES: Final = 2
"""Minimum number of sources from NOTIFY_APPLY on: such a change has a known risk."""


class PolicySettings(Frozen):
    """``[grounding]``. Each number may only be made stricter than its default."""

    policy: bool = Field(
        True,
        description="Require as many sources and as much trust as a change's risk and its model's state demand; off, "
        "for measuring: only collapsed answers are discarded.",
    )
    alarm_milli: int = Field(
        ALARM_MILLI,
        ge=RESTLESS_MILLI,
        le=ALARM_MILLI,
        description="An answer this close to a collapse (thousandths) is discarded; only lower.",
    )
    regroundings: int = Field(
        2,
        ge=0,
        le=2,
        description="A collapsed answer is asked for again this often, with fresh evidence, before the op ends; only "
        "fewer.",
    )
    more_sources: int = Field(
        0, ge=0, le=8, description="Sources that must stand behind a change beyond those of the table; only more."
    )
    least_trust_bp: int = Field(
        2_000,
        ge=2_000,
        le=10_000,
        description="Trust (basis points) below which a SAFE_AUTO change needs approval; half of it at NOTIFY_APPLY; "
        "only higher.",
    )


STANDARD: Final = PolicySettings()


class Grounding(Frozen):
    """The policy's demands on a change. ``budget_scale_milli``: share of the time left; ``deep``: explore further."""

    min_sources: int
    deep: bool
    budget_scale_milli: int
    act: bool


def grounding(
    risk: Tier,
    complexity: Complexity,
    trust_bp: int,
    proximity_milli: int,
    settings: PolicySettings = STANDARD,
) -> Grounding:
    """Apply the table above. ``trust_bp``: 0 to 10000, ``proximity_milli``: 0 to 1000."""
    if not settings.policy:
        is_usable = proximity_milli < settings.alarm_milli
        return Grounding(min_sources=0, deep=False, budget_scale_milli=WHOLE_MILLI * is_usable, act=is_usable)
    base = max(BASE[complexity], RISKY_SOURCES if risk >= Tier.NOTIFY_APPLY else 0)
    by_trust = (trust_bp < EVEN_BP) + (trust_bp < LOW_BP)
    levels = (RESTLESS_MILLI, NEAR_MILLI, settings.alarm_milli)
    by_proximity = sum(proximity_milli >= level for level in levels)
    calm = proximity_milli < min(RESTLESS_MILLI, settings.alarm_milli)
    return Grounding(
        min_sources=base + by_trust + by_proximity + settings.more_sources,
        deep=not calm or trust_bp < LOW_BP or complexity is Complexity.ARCHITECTURAL,
        budget_scale_milli=_scale(proximity_milli, settings.alarm_milli),
        act=proximity_milli < settings.alarm_milli and trust_bp >= required_trust(risk, settings),
    )


def required_trust(risk: Tier, settings: PolicySettings = STANDARD) -> int:
    """Trust (basis points) that a tier needs to do without approval."""
    if not settings.policy:
        return 0
    least = {Tier.SAFE_AUTO: settings.least_trust_bp, Tier.NOTIFY_APPLY: settings.least_trust_bp // 2}
    return least.get(risk, 0)


def _scale(proximity: int, alarm: int) -> int:
    if proximity >= alarm:
        return 0
    if proximity < RESTLESS_MILLI:
        return WHOLE_MILLI
    return WHOLE_MILLI - (WHOLE_MILLI - LEAST_MILLI) * (proximity - RESTLESS_MILLI) // (alarm - RESTLESS_MILLI)


def proximity_of(report: Report | None) -> int:
    """The proximity that counts for a whole answer. A peak without an alarm is capped just below the alarm level."""
    if report is None:
        return 0
    if report.alarm:
        return max(report.proximity_milli, ALARM_MILLI)
    return min(report.proximity_milli, ALARM_MILLI - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInputs:
    """The inputs of :func:`grounding` that are known before there is an answer."""

    risk: Tier = Tier.SAFE_AUTO
    complexity: Complexity = Complexity.SIMPLE
    trust_bp: int = EVEN_BP
    settings: PolicySettings = STANDARD

    def at(self, proximity_milli: int) -> Grounding:
        """The policy's demands at this proximity."""
        return grounding(self.risk, self.complexity, self.trust_bp, proximity_milli, self.settings)

    def is_usable(self, proximity_milli: int) -> bool:
        """False for a collapsed answer. Trust is left out here: GATE takes it into account."""
        return grounding(Tier.APPROVAL_REQUIRED, self.complexity, self.trust_bp, proximity_milli, self.settings).act
