"""Bounds of the sensor of docstrings and pages."""

from __future__ import annotations

from pydantic import Field

from sensors.sensor import FileSensorSettings


class DocStalenessSettings(FileSensorSettings):
    """Docstrings and pages of what changes."""

    enabled: bool = Field(
        False,
        description="Write docstrings for public symbols that a commit adds or changes without one, and bring those up "
        "to date whose parameters have changed. Off: whether and how a repository documents is its owner's taste, and "
        "a change of docstrings alone may land by itself.",
    )
    pages: bool = Field(
        True, description="Say also which pages (README, docs/) name what a commit has taken away; waits for your yes."
    )
    least_lines: int = Field(5, ge=1, description="Shorter symbols are left to speak for themselves.")
