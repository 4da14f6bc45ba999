"""Public functions that no test names."""

from __future__ import annotations

from pydantic import Field

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, SensorSettings, SensorSpec


class ProactiveExplorationSettings(SensorSettings):
    """Work without a request."""

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


SPEC = SensorSpec(
    source=Source("exploration"),
    facts=SourceFacts(rank=7, urgency=Urgency.LOW, routed_as=SourceClass.BACKGROUND),
    settings=ProactiveExplorationSettings,
    section="sensors.proactive_exploration",
    tighten={"enabled": "off", "per_day": "lower"},
    sensor="sensors.exploration.sensor:ProactiveExploration",
    docs=(
        DocsRow(
            "after 300 s without events or load: a public function near past failures that no test names, once",
            "its new tests pass, the function is unchanged, and each of up to three changes that the daemon makes "
            "to it fails them",
            "yes",
        ),
    ),
)
