"""A test suite that no longer gives an answer."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.vocabulary import Check, Source, SourceClass, SuiteAnswers, Urgency
from sensors.closure_checks import AskCheck, ClosurePorts
from sensors.ports import DaemonPorts
from sensors.runtime_health.settings import RuntimeHealthSettings
from sensors.sensor import DocsRow, Sensor, SensorSpec


def _build(ports: DaemonPorts, settings: RuntimeHealthSettings) -> Sensor:
    from sensors.runtime_health.sensor import RuntimeHealth

    return RuntimeHealth(ports=ports, tests=ports.tests, pressed=ports.pressed_by, settings=settings)


def _closure_checks(settings: RuntimeHealthSettings, ports: ClosurePorts) -> Mapping[type[Check], AskCheck]:
    from sensors.runtime_health.suite_health import ask_suite

    return {SuiteAnswers: ask_suite}


SPEC = SensorSpec(
    source=Source.RUNTIME_HEALTH,
    rank=2,
    urgency=Urgency.HIGH,
    routed_as=SourceClass.REFLEX,
    settings=RuntimeHealthSettings,
    tighten={"enabled": "off"},
    closure_checks=_closure_checks,
    build=_build,
    docs=(
        DocsRow(
            "a suite that gives no answer at HEAD (it hangs, collects nothing, pytest refuses its settings) and does "
            "at an ancestor; both are run now",
            "the whole suite answers, tests of unchanged files pass, and as many pass as before",
            "no",
        ),
    ),
)
