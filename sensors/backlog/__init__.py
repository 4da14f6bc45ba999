"""Ready items of the committed backlog file."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.vocabulary import Check, ItemDone, Source, SourceClass, Urgency
from sensors.backlog.settings import BacklogSettings
from sensors.closure_checks import AskCheck, ClosurePorts, MarkFile, on_file
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec


def _build(ports: DaemonPorts, settings: BacklogSettings) -> Sensor:
    from sensors.backlog.sensor import Backlog

    return Backlog(ports=ports, settings=settings)


def _closure_checks(settings: BacklogSettings, ports: ClosurePorts) -> Mapping[type[Check], AskCheck]:
    from sensors.backlog.items import item_answer

    return {ItemDone: on_file(item_answer)}


def _marks() -> Mapping[type[Check], MarkFile]:
    from sensors.backlog.items import mark_item

    return {ItemDone: mark_item}


SPEC = SensorSpec(
    source=Source.BACKLOG,
    rank=5,
    urgency=Urgency.NORMAL,
    routed_as=SourceClass.BACKGROUND,
    settings=BacklogSettings,
    tighten={"enabled": "off"},
    closure_checks=_closure_checks,
    marks=_marks,
    build=_build,
    docs=(
        DocsRow(
            "ready items of `.ouro/backlog.toml` or `.ouro/backlog.md`, one per look",
            "the item is marked done with the op's id; the daemon adds that mark to the op's commit itself",
            "yes",
        ),
    ),
)
