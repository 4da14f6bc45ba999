"""Disk space, looked at before something large is written."""

from __future__ import annotations

import shutil
from pathlib import Path

from ledger.errors import OuroError


def check_space(folder: Path, needed: int, spare_mb: int = 0) -> None:
    """Raises ``OuroError`` when the file system of ``folder`` has not ``needed`` bytes and the spare megabytes."""
    free = shutil.disk_usage(folder).free
    if free < needed + spare_mb * 1_000_000:
        raise OuroError(
            f"The weights need {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB free.",
            remedy=f"Free some space below {folder}, or choose a smaller model.",
        )
