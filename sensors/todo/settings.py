"""Bounds of the sensor of TODO comments."""

from __future__ import annotations

from pydantic import Field

from sensors.sensor import FileSensorSettings


class TodoScannerSettings(FileSensorSettings):
    """Markers in comments."""

    enabled: bool = Field(
        False,
        description="Work on TODO, FIXME and HACK comments. Off: a note to oneself is no request, and each costs model "
        "calls; what is proposed waits for the owner's yes.",
    )
    least_words: int = Field(3, ge=1, description="A marker with fewer words says too little to act on.")
    aged_days: int = Field(90, ge=0, description="A marker that stood there before is said after this time; 0: never.")
