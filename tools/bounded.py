"""Reading of small, possibly untrusted text files: limited in size, never blocking."""

from __future__ import annotations

import os
import stat
from pathlib import Path

LIMIT = 256 * 1024


def read_text(path: Path, *, limit: int = LIMIT) -> str | None:
    """The first ``limit`` bytes of a regular file as text; None where there is none or it cannot be read.

    A pipe, device or folder counts as none. Bytes that are not UTF-8 become U+FFFD.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - opening a device may do something
            return None
        # Non-blocking, or a pipe put there meanwhile would block the reader for ever.
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
