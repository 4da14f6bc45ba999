"""Small text files that somebody else may have written: so many bytes and no more, and never a wait."""

from __future__ import annotations

import os
import stat
from pathlib import Path

LIMIT = 256 * 1024


def read_text(path: Path, *, limit: int = LIMIT) -> str | None:
    """The beginning of a regular file, ``limit`` bytes at most; None where there is none or it cannot be read.

    A pipe, a device or a folder is no regular file, and what is no text comes with marks in its place.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - opening a device may do something
            return None
        # Non-blocking, or a pipe that is laid there now would hold the reader for ever.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(limit).decode("utf-8", errors="replace")
    except OSError:
        return None
    finally:
        os.close(fd)
