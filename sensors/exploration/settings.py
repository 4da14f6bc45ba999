"""Bounds of the sensor of untested functions."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ProactiveExplorationSettings(BaseModel):
    """What nobody has asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(
        False,
        description="When nothing else is to be done, write tests for public functions that no test names, near past "
        "failures. Off: nobody has asked for it, it costs model calls and test runs, and what code does now need not "
        "be right; what is proposed waits for the owner's yes.",
    )
    idle_s: float = Field(300.0, ge=0, description="It looks when nothing has happened for this long.")
    per_day: int = Field(2, ge=0, description="Most signals within 24 hours.")
    least_lines: int = Field(4, ge=2, description="Shorter functions are left alone.")
    most_files: int = Field(2_000, ge=1, description="Most files of one look.")
    largest_bytes: int = Field(512 * 1024, ge=1, description="Larger files are not looked at.")
