"""Errors on pictures of a screen."""

from __future__ import annotations

from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec
from sensors.vision.settings import ENDINGS, VisionSettings
from sensors.watch.named import Named


def _build(ports: DaemonPorts, settings: VisionSettings) -> Sensor:
    from sensors.vision.sensor import Vision
    from sensors.watch.named_files import placed

    ocr = ports.ocr(settings.program, settings.languages, settings.limit_s)
    folder = placed(settings.folder, str(ports.top))
    return Vision(ports=ports, ocr=ocr, tests=ports.tests, top=ports.top, folder=folder, settings=settings)


def _places(settings: VisionSettings, top: str) -> Named:
    from sensors.watch.named_files import placed

    return Named(folders=((placed(settings.folder, top), ENDINGS),) if settings.folder else ())


SPEC = SensorSpec(
    source=Source.VISION_SENSOR,
    rank=4,
    urgency=Urgency.NORMAL,
    routed_as=SourceClass.STANDARD,
    from_outside=True,
    settings=VisionSettings,
    section="sensors.vision",
    tighten={"enabled": "off"},
    places=_places,
    build=_build,
    docs=(
        DocsRow(
            "an error of this repository, read off a new picture in a folder of yours",
            "the failing test that the picture names passes",
            "where it names no failing test",
        ),
    ),
)
