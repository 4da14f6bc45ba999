"""A test suite that no longer gives an answer."""

from __future__ import annotations

from pydantic import Field

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, SensorSettings, SensorSpec


class RuntimeHealthSettings(SensorSettings):
    """A suite that has stopped answering."""

    enabled: bool = Field(
        True,
        description="Work on a suite that gives no answer at HEAD and does at an ancestor. On: as long as the suite "
        "answers it costs nothing, and without an answer no other repair can be tested.",
    )
    ancestors: int = Field(50, ge=1, description="How far back an ancestor is looked for at which the suite answered.")
    per_day: int = Field(3, ge=0, description="Most signals within 24 hours.")


SPEC = SensorSpec(
    source=Source("runtime_health"),
    facts=SourceFacts(rank=2, urgency=Urgency.HIGH, routed_as=SourceClass.REFLEX),
    settings=RuntimeHealthSettings,
    tighten={"enabled": "off"},
    sensor="sensors.runtime_health.sensor:RuntimeHealth",
    docs=(
        DocsRow(
            "a suite that gives no answer at HEAD (it hangs, collects nothing, pytest refuses its settings) and does "
            "at an ancestor; both are run now",
            "the whole suite answers, tests of unchanged files pass, and as many pass as before",
            "no",
        ),
    ),
)
