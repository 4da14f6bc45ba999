"""What stands in a workspace at one moment, so that it can be told afterwards what a command has changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from tools.contained import LONGEST_NAME, too_long

RACY_NS = 50_000_000
"""A file that was changed this shortly before is remembered with its content: its times may not tell a later change."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One file, link, pipe or whatever else is no folder. Its change time cannot be set from inside the sandbox."""

    kind: int
    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def regular(self) -> bool:
        return self.kind == stat.S_IFREG

    @property
    def special(self) -> bool:
        """A pipe, a socket or a device."""
        return self.kind not in (stat.S_IFREG, stat.S_IFLNK)


@dataclass(slots=True)
class Sight:
    """Everything below a root, by relative path (no UTF-8: as surrogates). ``flooded``: there was more.

    ``beyond`` are folders with a path so long that they were not looked into.
    """

    files: dict[str, Seen] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    fresh: dict[str, str] = field(default_factory=dict)  # sha256 of what had just been changed
    beyond: set[str] = field(default_factory=set)
    flooded: bool = False


def look(root: Path, *, mounts: Collection[str] = (), limit: int, stamp: Path | None = None) -> Sight:
    """Walk without following a link; folders that were made unreadable are opened up. At most ``limit`` entries.

    ``stamp`` is a place for an empty file, by which the file system tells its time; without it nothing is ``fresh``.
    """
    sight = Sight()
    now = _now(stamp) if stamp is not None else None
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        for name, info in _entries(root / prefix if prefix else root):
            path = f"{prefix}/{name}" if prefix else name
            if path in mounts:
                continue
            if len(sight.files) + len(sight.folders) >= limit:
                sight.flooded = True
                return sight
            if stat.S_ISDIR(info.st_mode):
                sight.folders.add(path)
                if too_long(f"{path}/{LONGEST_NAME * 'x'}"):  # what lies in it may have no path of ours
                    sight.beyond.add(path)
                else:
                    waiting.append(path)
                continue
            seen = Seen(
                stat.S_IFMT(info.st_mode), stat.S_IMODE(info.st_mode), info.st_size, info.st_mtime_ns,
                info.st_ctime_ns, info.st_ino,
            )  # fmt: skip
            sight.files[path] = seen
            if now is not None and seen.regular and info.st_ctime_ns > now - RACY_NS:
                sight.fresh[path] = digest(root / path)
    return sight


def differing(root: Path, before: Sight, after: Sight) -> list[str]:
    """Paths that are not as they were, sorted."""
    return sorted(
        path
        for path in before.files.keys() | after.files.keys()
        if before.files.get(path) != after.files.get(path)
        or (path in before.fresh and digest(root / path) != before.fresh[path])
    )


def digest(path: Path) -> str:
    """sha256 of a regular file; empty when it cannot be read."""
    with contextlib.suppress(OSError), open(path, "rb", opener=_without_links) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _entries(folder: Path) -> list[tuple[str, os.stat_result]]:
    if folder.stat(follow_symlinks=False).st_mode & 0o700 != 0o700:
        folder.chmod(0o700)
    with os.scandir(folder) as entries:
        return [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]


def _now(stamp: Path) -> int:
    stamp.write_bytes(b"")
    found = stamp.stat().st_ctime_ns
    stamp.unlink()
    return found
