"""Whether code inside may have unix sockets: it may where no socket of anybody outside can come into its sight.

To connect to a socket takes no more than to see it: a read-only mount does not stop it, a system-call filter cannot
read the path that is given, and what is bound by a relative path, renamed, linked, or bound when the run has begun is
on no list that could be asked. So where a mount may hold a socket of somebody else, there are no unix sockets at all
but pairs, which reach nobody.
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
"""Are looked at and remembered; what has more is not known to hold none."""
RACY_NS = 50_000_000
"""A folder that was changed this shortly before is looked at again: its time may not tell a later change."""


@dataclass(slots=True)
class Searched:
    """Folders in which no socket lies, by path: when they were last changed, and which folders lie in them.

    The kernel sets that time when an entry is made, and nobody can set it back.
    """

    folders: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)

    def hold_socket(self, top: Path) -> bool:
        """Whether a socket lies in a folder (or is what is named), or what lies there cannot be told (blocking)."""
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
        """Folders in a folder; None where a socket lies in it."""
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
    """Without asking for more than the folder says, for most files."""
    if entry.is_file(follow_symlinks=False) or entry.is_symlink():
        return False
    return stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode)


SEARCHED = Searched()


def unix_sockets_for(mounts: Iterable[Mount], searched: Searched = SEARCHED) -> bool:
    """Whether a job with these mounts gets unix sockets (blocking)."""
    return all(mount.closed and (mount.ours or not searched.hold_socket(mount.source)) for mount in mounts)
