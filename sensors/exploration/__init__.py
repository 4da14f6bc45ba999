"""Public functions that no test names."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.vocabulary import Check, Source, SourceClass, SymbolPinned, Urgency
from sensors.closure_checks import AskCheck, ClosurePorts
from sensors.exploration.settings import ProactiveExplorationSettings
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec


def _build(ports: DaemonPorts, settings: ProactiveExplorationSettings) -> Sensor:
    from sensors.exploration.sensor import ProactiveExploration

    return ProactiveExploration(ports=ports, occupied=ports.busy_with, settings=settings)


def _closure_checks(settings: ProactiveExplorationSettings, ports: ClosurePorts) -> Mapping[type[Check], AskCheck]:
    from sensors.exploration.pinning import pinned_answer

    return {SymbolPinned: pinned_answer}


SPEC = SensorSpec(
    source=Source.EXPLORATION,
    rank=7,
    urgency=Urgency.LOW,
    routed_as=SourceClass.BACKGROUND,
    settings=ProactiveExplorationSettings,
    section="sensors.proactive_exploration",
    tighten={"enabled": "off", "per_day": "lower"},
    closure_checks=_closure_checks,
    build=_build,
    docs=(
        DocsRow(
            "after 300 s without events or load: a public function near past failures that no test names, once",
            "its new tests pass, the function is unchanged, and each of up to three changes that the daemon makes "
            "to it fails them",
            "yes",
        ),
    ),
)
