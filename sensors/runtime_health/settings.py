"""Bounds of the sensor of a suite without an answer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RuntimeHealthSettings(BaseModel):
    """A suite that has stopped answering."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(
        True,
        description="Work on a suite that gives no answer at HEAD and does at an ancestor. On: as long as the suite "
        "answers it costs nothing, and without an answer no other repair can be tested.",
    )
    ancestors: int = Field(50, ge=1, description="How far back an ancestor is looked for at which the suite answered.")
    per_day: int = Field(3, ge=0, description="Most signals within 24 hours.")
