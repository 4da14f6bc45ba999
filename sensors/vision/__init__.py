"""Errors on pictures of a screen."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, SensorSettings, SensorSpec


class VisionSettings(SensorSettings):
    """Pictures of a screen on which an error can be read."""

    enabled: bool = Field(
        False,
        description="Read errors of this repository off new pictures (PNG, JPEG). Off: pictures of a screen show more "
        "than errors, and which folder may be looked into only you can say. Neither picture nor text is kept.",
    )
    folder: str = Field("", description="Where new pictures appear, from the top of the repository or absolute.")
    program: str = Field(
        "tesseract", min_length=1, description="What reads text off a picture, called as tesseract is, in the sandbox."
    )
    languages: str = Field("eng", pattern=r"^[A-Za-z_+]{1,60}$", description="The languages it is told to read.")
    limit_s: float = Field(30.0, gt=0, description="Seconds that reading one picture may take.")
    largest_bytes: int = Field(12 * 1024 * 1024, ge=1, description="Larger pictures are not looked at.")
    most_megapixels: int = Field(20, ge=1, le=200, description="Pictures with more are not looked at.")
    fresh_s: float = Field(
        600.0, ge=0, description="At start-up, pictures that are younger than this are looked at; older ones are not."
    )
    per_look: int = Field(4, ge=1, description="Most pictures of one look, the newest first; the others are left out.")
    per_hour: int = Field(60, ge=0, description="Most pictures within an hour.")
    per_day: int = Field(10, ge=0, description="Most signals within 24 hours.")

    @model_validator(mode="after")
    def _places(self) -> Self:
        if not self.folder.startswith("/") and ".." in self.folder.split("/"):
            raise ValueError(f"{self.folder!r} is not a folder inside the repository")
        if "\0" in self.folder + self.program:
            raise ValueError("a NUL character is in no name")
        return self


SPEC = SensorSpec(
    source=Source("vision_sensor"),
    facts=SourceFacts(rank=4, urgency=Urgency.NORMAL, routed_as=SourceClass.STANDARD, from_outside=True),
    settings=VisionSettings,
    section="sensors.vision",
    tighten={"enabled": "off"},
    sensor="sensors.vision.sensor:Vision",
    docs=(
        DocsRow(
            "an error of this repository, read off a new picture in a folder of yours",
            "the failing test that the picture names passes",
            "where it names no failing test",
        ),
    ),
)
