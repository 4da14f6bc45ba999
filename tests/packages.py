"""Copies of pytest for environments that tests make: what it needs and nothing else, made in a moment."""

from __future__ import annotations

import functools
import importlib.metadata
import shutil
from collections.abc import Sequence
from pathlib import Path

import _pytest

PYTEST = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
SITE = Path(_pytest.__file__).parents[1]
# Two thirds of all files would be languages and styles of pygments that no test run colours anything with.
LEAST = {
    "pygments/lexers": {"__init__", "_mapping", "python", "diff"},
    "pygments/styles": {"__init__", "_mapping", "default"},
    "pygments/formatters": {"__init__", "_mapping", "terminal"},
}


def lay_packages(site: Path, names: Sequence[str] = PYTEST) -> Path:
    """Copy installed packages into ``site``, with times, so that byte code stays valid."""
    for top in _tops(tuple(names)):
        source = SITE / top
        if source.is_dir():
            shutil.copytree(source, site / top, ignore=_without_languages)
        else:
            shutil.copy2(source, site / top)
    return site


@functools.cache
def _tops(names: tuple[str, ...]) -> tuple[str, ...]:
    files = [file for name in names for file in importlib.metadata.files(name) or []]
    found = sorted({file.parts[0] for file in files} - {"..", "__pycache__"})
    return tuple(top for top in found if (SITE / top).exists())


def _without_languages(folder: str, names: list[str]) -> set[str]:
    place = Path(folder).relative_to(SITE).as_posix().removesuffix("/__pycache__")
    kept = LEAST.get(place)
    return {name for name in names if name != "__pycache__" and name.partition(".")[0] not in kept} if kept else set()
