"""Reports that pytest runs of the owner leave in the spool folder. They wake us; what is true we run ourselves."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ledger.parsers.json import read_json
from ledger.vocabulary import Frozen

LIMIT_BYTES = 1024 * 1024
LIMIT_FILES = 1_000
LIMIT_IDS = 50


class Report(Frozen):
    """What one run said. ``red`` is None when the file does not tell of tests (a hook that only wakes)."""

    name: str
    red: tuple[str, ...] | None


def take_reports(folder: Path) -> tuple[Report, ...]:
    """Read and remove the reports in the spool folder, oldest first. Blocks. A file that cannot be read is removed."""
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix == ".json" and not path.name.startswith("."))
    except OSError:
        return ()
    return tuple(_take(path) for path in found[:LIMIT_FILES])


def _take(path: Path) -> Report:
    red: tuple[str, ...] | None = None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            content = read_json(file.read(LIMIT_BYTES))
        listed = content.get("red") if isinstance(content, dict) else None
        if isinstance(listed, list):
            red = tuple(str(test)[:1000] for test in listed[:LIMIT_IDS])
    except (OSError, ValueError, RecursionError):
        red = None  # only the wake-up counts
    with suppress(OSError):
        path.unlink()
    return Report(name=path.name, red=red)
