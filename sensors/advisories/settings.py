"""Where advisories come from, and bounds of the sensor of pinned versions."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sensors.sensor import FileSensorSettings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class AdvisorySettings(BaseModel):
    """Bounds of both sources."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str = Field("", description="Absolute path of a folder with advisories, one OSV JSON file each.")
    api: str = Field(
        "",
        description="Address of an OSV API, like `https://api.osv.dev`; it learns the names and versions that you pin. "
        "Empty: nobody is asked.",
    )
    proxy: str = Field("", description="HTTP proxy for the API.")
    timeout_s: float = Field(120.0, gt=0, description="Seconds that all questions of one look to the API may take.")
    answer_bytes: int = Field(32 * 1024 * 1024, ge=1024, description="Bytes of one answer of the API, at most.")
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
