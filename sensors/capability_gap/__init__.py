"""Tools and files that ops asked for and could not get."""

from __future__ import annotations

from pydantic import Field

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, SensorSettings, SensorSpec


class CapabilityGapSettings(SensorSettings):
    """What could not be served."""

    enabled: bool = Field(
        True,
        description="Show in status what models and goals asked for and could not be served. On: it reads what ops "
        "leave in the record anyway, and calls no model.",
    )
    work: bool = Field(
        False,
        description="Also work on a gap that has a place in the repository. Off: nobody has asked for it, and what is "
        "proposed waits for the owner's yes.",
    )
    least_seen: int = Field(3, ge=1, description="Ops that must have met a gap.")
    least_entropy_milli: int = Field(
        900,
        ge=0,
        description="How scattered their goals must be: Shannon entropy of the goal classes, in thousandths of a bit. "
        "0 is one kind of goal; two kinds equally often are 1000.",
    )
    days: float = Field(30.0, gt=0, description="A sighting counts for so long.")
    per_day: int = Field(1, ge=0, description="Most signals within 24 hours.")


SPEC = SensorSpec(
    source=Source("capability_gap"),
    facts=SourceFacts(rank=4, urgency=Urgency.NORMAL, routed_as=SourceClass.STANDARD),
    settings=CapabilityGapSettings,
    tighten={"enabled": "off", "work": "off"},
    sensor="sensors.capability_gap.sensor:CapabilityGap",
    docs=(
        DocsRow(
            "files that ops of several kinds find nothing for (work on them is off)",
            "your yes; status drops the gap when a later op shows that it is served",
            "yes",
        ),
    ),
)
