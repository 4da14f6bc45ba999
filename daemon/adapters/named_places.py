"""Which places beside the source the owner has named, for the watcher."""

from __future__ import annotations

from pathlib import Path

from sensors.named_files import placed
from sensors.settings import SensorsSettings
from sensors.vision_settings import ENDINGS
from sensors.watch_named import Named


def named_places(settings: SensorsSettings, top: Path) -> Named:
    """Of the sensors that are on."""
    speed = settings.performance_regression
    files = frozenset({placed(speed.result, str(top))} if speed.enabled and speed.result else ())
    seen = settings.vision
    folders = ((placed(seen.folder, str(top)), ENDINGS),) if seen.enabled and seen.folder else ()
    return Named(files=files, folders=folders)
