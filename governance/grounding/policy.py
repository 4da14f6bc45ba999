"""How much ground a change must stand on before it may be applied. Pure.

| what raises it | sources |
|---|---|
| complexity: trivial 1, simple and moderate 2, complex 3, architectural 4; from NOTIFY_APPLY on at least 2 | base |
| trust below 5000 (more claims of this kind were wrong than right) / below 2500 | +1 / +2 |
| proximity from 500 / from 700 / from the alarm level on (thousandths; 1000 is collapsed) | +1 / +2 / +3 |

The time of what is still asked shrinks from all of it at 500 to a quarter just below the alarm level, and to none from
there on: what is collapsing is not waited for. ``act`` is false from the alarm level on, and where trust is below what
the tier wants: at SAFE_AUTO nobody looks at the change, at NOTIFY_APPLY somebody may, at APPROVAL_REQUIRED somebody
does. It says that a change may be acted on without a person's yes; it allows nothing that another rule forbids.

With ``policy`` off, which is for measuring what all this brings, only the last row's last word is left: what has
collapsed is not acted on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import Field

from kernel.provider import Report
from ledger.vocabulary import Complexity, Frozen, Tier

ALARM_MILLI: Final = 880
"""The canary's own level (``kernel/canary_levels.toml``)."""
RESTLESS_MILLI: Final = 500
NEAR_MILLI: Final = 700
COLLAPSED_MILLI: Final = 1_000
WHOLE_MILLI, LEAST_MILLI = 1_000, 250
EVEN_BP: Final = 5_000
"""Trust in what nothing is known of."""
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
UNSEEN: Final = 2
"""Fewest sources of a change for which the owner is told or asked: there is a reason why."""


class PolicySettings(Frozen):
    """``[grounding]``. Numbers may only be made stricter than they are here, by anybody."""

    policy: bool = Field(
        True,
        description="A change must stand on as many sources, and as much trust, as its risk and its model's state ask "
        "for; off, for measuring: only an answer that has collapsed is not acted on.",
    )
    alarm_milli: int = Field(
        ALARM_MILLI,
        ge=RESTLESS_MILLI,
        le=ALARM_MILLI,
        description="An answer this close to a collapse (thousandths) is not acted on; only lower.",
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
        description="Trust (basis points) below which no change is made without a yes at SAFE_AUTO; half of it where "
        "the owner is told first; only higher.",
    )


STANDARD: Final = PolicySettings()


class Grounding(Frozen):
    """What is asked of a change. ``budget_scale_milli``: of the time that is still given; ``deep``: look further."""

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
    """See the table above. ``trust_bp`` 0 to 10000, ``proximity_milli`` 0 to 1000."""
    if not settings.policy:
        is_answer = proximity_milli < settings.alarm_milli
        return Grounding(min_sources=0, deep=False, budget_scale_milli=WHOLE_MILLI * is_answer, act=is_answer)
    base = max(BASE[complexity], UNSEEN if risk >= Tier.NOTIFY_APPLY else 0)
    by_trust = (trust_bp < EVEN_BP) + (trust_bp < LOW_BP)
    levels = (RESTLESS_MILLI, NEAR_MILLI, settings.alarm_milli)
    by_proximity = sum(proximity_milli >= level for level in levels)
    calm = proximity_milli < min(RESTLESS_MILLI, settings.alarm_milli)
    return Grounding(
        min_sources=base + by_trust + by_proximity + settings.more_sources,
        deep=not calm or trust_bp < LOW_BP or complexity is Complexity.ARCHITECTURAL,
        budget_scale_milli=_scale(proximity_milli, settings.alarm_milli),
        act=proximity_milli < settings.alarm_milli and trust_bp >= wanted_trust(risk, settings),
    )


def wanted_trust(risk: Tier, settings: PolicySettings = STANDARD) -> int:
    """Basis points that a tier wants before anything is done without a person's yes."""
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


def felt(report: Report | None) -> int:
    """The proximity that counts of a whole answer: a peak that did not last is close to an alarm, and none."""
    if report is None:
        return 0
    if report.alarm:
        return max(report.proximity_milli, ALARM_MILLI)
    return min(report.proximity_milli, ALARM_MILLI - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the policy knows of an op before an answer comes."""

    risk: Tier = Tier.SAFE_AUTO
    complexity: Complexity = Complexity.SIMPLE
    trust_bp: int = EVEN_BP
    settings: PolicySettings = STANDARD

    def at(self, proximity_milli: int) -> Grounding:
        """What is asked at this proximity."""
        return grounding(self.risk, self.complexity, self.trust_bp, proximity_milli, self.settings)

    def is_answer(self, proximity_milli: int) -> bool:
        """False for what is no answer any more. Whether a change may be made of one is for GATE to say: there trust
        counts, too."""
        return grounding(Tier.APPROVAL_REQUIRED, self.complexity, self.trust_bp, proximity_milli, self.settings).act
