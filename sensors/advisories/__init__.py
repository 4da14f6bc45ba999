"""Pinned packages with known defects."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.vocabulary import Check, Source, SourceClass, Urgency, VersionAtLeast
from sensors.advisories.settings import WebIntelligenceSettings
from sensors.closure_checks import AskCheck, ClosurePorts, on_file
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec


def _build(ports: DaemonPorts, settings: WebIntelligenceSettings) -> Sensor:
    from sensors.advisories.sensor import WebIntelligence

    return WebIntelligence(ports=ports, settings=settings)


def _closure_checks(settings: WebIntelligenceSettings, ports: ClosurePorts) -> Mapping[type[Check], AskCheck]:
    from sensors.advisories.pins import version_answer

    return {VersionAtLeast: on_file(version_answer)}


SPEC = SensorSpec(
    source=Source.WEB_INTELLIGENCE,
    rank=7,
    urgency=Urgency.LOW,
    routed_as=SourceClass.BACKGROUND,
    from_outside=True,
    settings=WebIntelligenceSettings,
    tighten={"enabled": "off"},
    closure_checks=_closure_checks,
    build=_build,
    docs=(
        DocsRow(
            "pins of Python packages with an advisory that names a later, fixed version",
            "the file pins that version or a later one, and none with a known defect",
            "yes",
        ),
    ),
)
