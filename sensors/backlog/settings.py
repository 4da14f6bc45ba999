"""Bounds of the sensor of the backlog file."""

from __future__ import annotations

from pydantic import Field

from sensors.sensor import FileSensorSettings


class BacklogSettings(FileSensorSettings):
    """The owner's list of wishes."""

    enabled: bool = Field(
        True,
        description="Work on ready items of a committed .ouro/backlog.toml or .ouro/backlog.md. On: without such a "
        "file it costs nothing, its items are requests, and what is proposed waits for the owner's yes.",
    )
    per_look: int = Field(1, ge=0, description="Most items of one look; what is left over waits for the next commit.")
