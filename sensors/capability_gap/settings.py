"""Settings of what could not be served."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CapabilityGapSettings(BaseModel):
    """What could not be served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
