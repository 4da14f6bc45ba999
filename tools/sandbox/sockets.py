"""Whether code inside may use unix sockets: only where it cannot see a socket of the host.

Any visible socket can be connected to: a read-only mount does not prevent it, a system-call filter cannot read the
path, and no list has the sockets that are bound by a relative path, renamed, linked, or bound after the run began. So
where a mount may contain a socket of another program, there are no unix sockets but pairs.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tools.sandbox.types import Mount

MOST_FOLDERS = 200_000
"""Maximum number of folders that are searched and cached; a larger tree counts as one with a socket."""
RACY_NS = 50_000_000
"""A folder that was changed this shortly before is not cached: a later change may not alter its time."""


@dataclass(slots=True)
class Searched:
    """Folders without a socket, by path: time of last change, and sub-folders.

    The kernel sets that time when an entry is created; it cannot be set back.
    """

    folders: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)

    def hold_socket(self, top: Path) -> bool:
        """Whether ``top`` is or contains a socket, or cannot be read (blocking)."""
        waiting, seen = [os.fspath(top)], 0
        if len(self.folders) > MOST_FOLDERS:
            self.folders.clear()
        while waiting:
            path = waiting.pop()
            seen += 1
            below = self._below(path)
            if below is None or seen > MOST_FOLDERS:
                return True
            waiting += below
        return False

    def _below(self, path: str) -> tuple[str, ...] | None:
        """Sub-folders of a folder; None where it contains a socket."""
        try:
            found = os.stat(path)  # noqa: PTH116 - one call for each of thousands
            if not stat.S_ISDIR(found.st_mode):
                return None if stat.S_ISSOCK(found.st_mode) else ()
            known = self.folders.get(path)
            if known is not None and known[0] == found.st_ctime_ns:
                return known[1]
            return self._looked(path, found.st_ctime_ns)
        except FileNotFoundError:  # it went meanwhile
            return ()
        except OSError:
            return None

    def _looked(self, path: str, changed: int) -> tuple[str, ...] | None:
        below = []
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                elif _is_socket(entry):
                    return None
        if changed < time.time_ns() - RACY_NS:
            self.folders[path] = (changed, tuple(below))
        return tuple(below)


def _is_socket(entry: os.DirEntry[str]) -> bool:
    """For most files without a system call."""
    if entry.is_file(follow_symlinks=False) or entry.is_symlink():
        return False
    return stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode)


SEARCHED = Searched()


def unix_sockets_for(mounts: Iterable[Mount], searched: Searched = SEARCHED) -> bool:
    """Whether a job with these mounts gets unix sockets (blocking)."""
    return all(mount.closed and (mount.ours or not searched.hold_socket(mount.source)) for mount in mounts)
