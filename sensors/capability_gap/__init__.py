"""Tools and files that ops asked for and could not get."""

from __future__ import annotations

from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.capability_gap.settings import CapabilityGapSettings
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec


def _build(ports: DaemonPorts, settings: CapabilityGapSettings) -> Sensor:
    from sensors.capability_gap.sensor import CapabilityGap

    return CapabilityGap(
        repository=ports.repository,
        emit=ports.emit,
        withdraw=ports.withdraw,
        unavailable=ports.unavailable,
        ledger=ports.ledger,
        clock=ports.clock,
        redact=ports.redact,
        settings=settings,
    )


def _tables() -> tuple[str, ...]:
    from sensors.capability_gap.sightings import SCHEMA

    return (SCHEMA,)


SPEC = SensorSpec(
    source=Source.CAPABILITY_GAP,
    rank=4,
    urgency=Urgency.NORMAL,
    routed_as=SourceClass.STANDARD,
    settings=CapabilityGapSettings,
    tighten={"enabled": "off", "work": "off"},
    tables=_tables,
    build=_build,
    docs=(
        DocsRow(
            "files that ops of several kinds find nothing for (work on them is off)",
            "your yes; status drops the gap when a later op shows that it is served",
            "yes",
        ),
    ),
)
