"""Snapshot of a workspace's files, to find out afterwards what a command changed."""

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
"""A file changed this shortly before is recorded with its digest: a later change may not alter its timestamps."""


@dataclass(frozen=True, slots=True)
class FileStatus:
    """Status of anything but a folder. The change time (``ctime_ns``) cannot be set from inside the sandbox."""

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
    """Everything below a root, by relative path (non-UTF-8 names with surrogates). ``flooded``: cut at the limit.

    ``beyond`` are folders that were not entered, because paths below them would be too long.
    """

    files: dict[str, FileStatus] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    fresh: dict[str, str] = field(default_factory=dict)  # sha256 of files changed within ``RACY_NS``
    beyond: set[str] = field(default_factory=set)
    flooded: bool = False


def take_snapshot(root: Path, *, mounts: Collection[str] = (), limit: int, stamp: Path | None = None) -> Sight:
    """Snapshot of ``root`` without ``mounts``, at most ``limit`` entries. Follows no link; makes folders readable.

    ``stamp`` is a path for a temporary empty file that yields the file system's time; without it nothing is ``fresh``.
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
                if too_long(f"{path}/{LONGEST_NAME * 'x'}"):  # the path of a file in it may be too long
                    sight.beyond.add(path)
                else:
                    waiting.append(path)
                continue
            seen = FileStatus(
                stat.S_IFMT(info.st_mode),
                stat.S_IMODE(info.st_mode),
                info.st_size,
                info.st_mtime_ns,
                info.st_ctime_ns,
                info.st_ino,
            )
            sight.files[path] = seen
            if now is not None and seen.regular and info.st_ctime_ns > now - RACY_NS:
                sight.fresh[path] = digest(root / path)
    return sight


def differing(root: Path, before: Sight, after: Sight) -> list[str]:
    """Paths that differ between two snapshots, sorted. Reads the files that were ``fresh`` in ``before``."""
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
