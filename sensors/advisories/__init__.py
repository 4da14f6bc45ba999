"""Pinned packages with known defects."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, FileSensorSettings, SensorSettings, SensorSpec

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class AdvisorySettings(SensorSettings):
    """Bounds of both sources."""

    folder: str = Field("", description="Absolute path of a folder with advisories, one OSV JSON file each.")
    api: str = Field(
        "",
        description="Address of an OSV API, like `https://api.osv.dev`; it learns the names and versions that you pin. "
        "Empty: nobody is asked.",
    )
    proxy: str = Field("", description="HTTP proxy for the API.")
    timeout_s: float = Field(120.0, gt=0, description="Seconds that all questions of one look to the API may take.")
    answer_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="Bytes of one answer of the API, at most.")
    advisory_bytes: int = Field(1024 * 1024, ge=1024, description="Larger advisories are not read.")
    most_advisories: int = Field(500, ge=1, description="Advisories that one look takes from the API, at most.")

    @field_validator("folder")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if value and not Path(value).is_absolute():
            raise ValueError(f"{value!r} is not an absolute path")
        return value

    @field_validator("api")
    @classmethod
    def _safe(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (not parts.hostname or parts.query or parts.fragment or parts.username):
            raise ValueError("an address has a scheme, a host and perhaps a path")
        if value and parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("https, or this machine")
        return value.rstrip("/")


class WebIntelligenceSettings(AdvisorySettings, FileSensorSettings):
    """Pinned versions with known defects."""

    enabled: bool = Field(
        False,
        description="Move pins of Python packages away from versions with an advisory. Off: it needs a folder of "
        "advisories, or an API that learns what you pin; what is proposed waits for the owner's yes.",
    )
    every_s: float = Field(86_400.0, ge=60, description="How often it looks although no pin has changed.")
    largest_bytes: int = Field(8 * 1024 * 1024, ge=1, description="Larger files are not looked at.")


SPEC = SensorSpec(
    source=Source("web_intelligence"),
    facts=SourceFacts(
        rank=7, urgency=Urgency.LOW, routed_as=SourceClass.BACKGROUND, from_outside=True, is_testimony=True
    ),
    settings=WebIntelligenceSettings,
    tighten={"enabled": "off"},
    sensor="sensors.advisories.sensor:WebIntelligence",
    docs=(
        DocsRow(
            "pins of Python packages with an advisory that names a later, fixed version",
            "the file pins that version or a later one, and none with a known defect",
            "yes",
        ),
    ),
)
