"""TODO, FIXME and HACK comments."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.vocabulary import Check, MarkerAbsent, Source, SourceClass, Urgency
from sensors.closure_checks import AskCheck, ClosurePorts, on_file
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec
from sensors.todo.settings import TodoScannerSettings


def _build(ports: DaemonPorts, settings: TodoScannerSettings) -> Sensor:
    from sensors.todo.sensor import TodoScanner

    return TodoScanner(ports=ports, settings=settings)


def _closure_checks(settings: TodoScannerSettings, ports: ClosurePorts) -> Mapping[type[Check], AskCheck]:
    from sensors.todo.markers import marker_answer

    return {MarkerAbsent: on_file(marker_answer)}


SPEC = SensorSpec(
    source=Source.TODO_SCANNER,
    rank=6,
    urgency=Urgency.LOW,
    routed_as=SourceClass.BACKGROUND,
    settings=TodoScannerSettings,
    tighten={"enabled": "off"},
    closure_checks=_closure_checks,
    build=_build,
    docs=(
        DocsRow(
            "TODO, FIXME and HACK comments of three words or more that a commit adds, or that are old by `git blame`",
            "no comment has that text any more, and no new marker rephrases it",
            "yes",
        ),
    ),
)
