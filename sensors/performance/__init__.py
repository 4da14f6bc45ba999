"""Benchmark results that became worse by more than noise."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.vocabulary import Check, MetricWithin, Source, SourceClass, Urgency
from sensors.closure_checks import AskCheck, ClosurePorts
from sensors.performance.settings import PerformanceRegressionSettings
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec
from sensors.watch.named import Named


def _build(ports: DaemonPorts, settings: PerformanceRegressionSettings) -> Sensor:
    from sensors.performance.sensor import PerformanceRegression

    return PerformanceRegression(ports=ports, top=ports.top, settings=settings)


def _closure_checks(settings: PerformanceRegressionSettings, ports: ClosurePorts) -> Mapping[type[Check], AskCheck]:
    from sensors.performance.measuring import Benchmark

    return {MetricWithin: Benchmark(settings, redact=ports.redact).answer}


def _tables() -> tuple[str, ...]:
    from sensors.performance.samples import SCHEMA

    return (SCHEMA,)


def _places(settings: PerformanceRegressionSettings, top: str) -> Named:
    from sensors.watch.named_files import placed

    return Named(files=frozenset({placed(settings.result, top)} if settings.result else ()))


SPEC = SensorSpec(
    source=Source.PERFORMANCE_REGRESSION,
    rank=4,
    urgency=Urgency.NORMAL,
    routed_as=SourceClass.STANDARD,
    settings=PerformanceRegressionSettings,
    tighten={"enabled": "off"},
    closure_checks=_closure_checks,
    tables=_tables,
    places=_places,
    build=_build,
    docs=(
        DocsRow(
            "metrics of your benchmark's result file that are worse than usual by more than noise, with the commits "
            "between and their changes",
            "your own command, run in the sandbox on the tree, measures each within its limit, and no "
            "measuring file was changed",
            "only where you name no command, or where the measuring files are unknown",
        ),
    ),
)
