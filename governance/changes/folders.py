"""Reads the state of files in the owner's folder without following symbolic links."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.children import MOST_BYTES
from ledger.errors import ApplyConflict
from ledger.ids import sha256_hex
from ledger.paths import FOLDER, open_below

LARGEST = MOST_BYTES
"""Maximum bytes of a file that are kept in memory. No change is made to a larger one."""
NOT_A_FILE = "not-a-file"  # in place of a hash: a link, a folder, a device


@dataclass(frozen=True, slots=True)
class PathState:
    """State of a path. ``sha``: the content's hash, None if nothing is there, ``NOT_A_FILE`` if it is no regular file.

    ``data`` is empty for files larger than :data:`LARGEST`.
    """

    sha: str | None
    data: bytes = b""
    mode: int = 0


def components(path: str) -> tuple[str, ...]:
    """The parts of a path inside the repository. Raises ``ApplyConflict`` for any other path."""
    parts = tuple(path.split("/"))
    bad = "\0" in path or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
    if bad:
        raise ApplyConflict(f"{path!r} is not a path that may be written.", paths=(path,))
    return parts


@contextmanager
def open_parent(root: Path, path: str) -> Iterator[tuple[int, str]]:
    """The open parent folder of ``path``, and the name in it.

    Raises ``ApplyConflict`` when a component is a link or a file, ``FileNotFoundError`` when a folder is missing.
    """
    *parents, name = components(path)
    top = os.open(root, FOLDER)
    try:
        folder = open_below(top, parents)
    except NotADirectoryError as error:
        raise ApplyConflict(
            f"{error.filename!r} in {path!r} is a symbolic link or a file, not a folder.",
            paths=(path,),
            remedy="Changes never go through a link; name the real path.",
        ) from error
    try:
        yield folder, name
    finally:
        os.close(folder)


def read_state(folder: int, name: str) -> PathState:
    """The state of ``name`` in an open folder. Does not follow a link, or block on a pipe."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return PathState(None)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return PathState(NOT_A_FILE)
        raise
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        return PathState(NOT_A_FILE)
    with os.fdopen(fd, "rb") as file:
        if status.st_size > LARGEST:
            return PathState(hashlib.file_digest(file, "sha256").hexdigest(), b"", stat.S_IMODE(status.st_mode))
        data = file.read()
    return PathState(sha256_hex(data), data, stat.S_IMODE(status.st_mode))


def read_state_at(root: Path, path: str) -> PathState:
    """:func:`read_state` of a path inside the repository; in a missing folder nothing is there."""
    try:
        with open_parent(root, path) as (folder, name):
            return read_state(folder, name)
    except FileNotFoundError:
        return PathState(None)


def missing_folders(root: Path, path: str) -> tuple[str, ...]:
    """The folders above ``path`` that do not exist, outermost first."""
    parents = components(path)[:-1]
    found = []
    for depth in range(1, len(parents) + 1):
        folder = "/".join(parents[:depth])
        try:
            with open_parent(root, f"{folder}/x"):
                continue
        except FileNotFoundError:
            found.append(folder)
    return tuple(found)
