"""Did a file really change? The last checksums, bounded: an event for unchanged contents is dropped."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import OrderedDict
from collections.abc import Iterable


class Checksums:
    """Remembers what files looked like. Blocks; one thread at a time."""

    def __init__(self, *, limit: int, whole_bytes: int) -> None:
        self._limit = limit
        self._whole_bytes = whole_bytes
        self._known: OrderedDict[str, str] = OrderedDict()

    def changed(self, paths: Iterable[str]) -> list[str]:
        """Those paths that are not as they were when last asked about; one that was never asked about is changed."""
        found = []
        for path in paths:
            now = checksum(path, self._whole_bytes)
            if now != self._known.get(path):
                self._known[path] = now
                found.append(path)
            self._known.move_to_end(path)
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        return found


def checksum(path: str, whole_bytes: int) -> str:
    """Mode and contents of a regular file, target of a link, size and time of a file over ``whole_bytes``; a word for
    what is something else or gone. Never follows a link, never waits for a pipe."""
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return f"link {os.readlink(path)}"  # noqa: PTH115  # text in, text out
        if not stat.S_ISREG(status.st_mode):
            return "folder" if stat.S_ISDIR(status.st_mode) else "special"
        if status.st_size > whole_bytes:
            return f"large {status.st_size} {status.st_mtime_ns}"
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return f"{status.st_mode & 0o111} {hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError:
        return "gone"
