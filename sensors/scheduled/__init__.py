"""Entries of your schedule."""

from __future__ import annotations

from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.ports import DaemonPorts
from sensors.scheduled.schedule import ScheduledSettings
from sensors.sensor import DocsRow, Sensor, SensorSpec


def _build(ports: DaemonPorts, settings: ScheduledSettings) -> Sensor | str:
    from sensors.scheduled.sensor import ScheduledTrigger

    if not settings.entries:
        return "on; nothing is scheduled (sensors.scheduled.entries)"
    return ScheduledTrigger(ports=ports, known=ports.is_known, is_open=ports.is_open, settings=settings)


def _tables() -> tuple[str, ...]:
    from sensors.scheduled.sensor import SCHEMA

    return (SCHEMA,)


SPEC = SensorSpec(
    source=Source.SCHEDULED,
    rank=5,
    urgency=Urgency.NORMAL,
    routed_as=SourceClass.STANDARD,
    settings=ScheduledSettings,
    tighten={"enabled": "off"},
    tables=_tables,
    build=_build,
    docs=(
        DocsRow(
            "an entry of your schedule that is due (nothing without an entry)",
            "its tests pass; without tests, your yes",
            "without tests",
        ),
    ),
)
