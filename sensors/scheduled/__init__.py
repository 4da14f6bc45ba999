"""Entries of your schedule."""

from __future__ import annotations

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.scheduled.schedule import ScheduledSettings
from sensors.sensor import DocsRow, SensorSpec

SPEC = SensorSpec(
    source=Source("scheduled"),
    facts=SourceFacts(rank=5, urgency=Urgency.NORMAL, routed_as=SourceClass.STANDARD),
    settings=ScheduledSettings,
    tighten={"enabled": "off"},
    sensor="sensors.scheduled.sensor:ScheduledTrigger",
    docs=(
        DocsRow(
            "an entry of your schedule that is due (nothing without an entry)",
            "its tests pass; without tests, your yes",
            "without tests",
        ),
    ),
)
