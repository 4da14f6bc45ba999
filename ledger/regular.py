"""Opening of files that lie in folders where others may have put something else: a pipe, a link, a folder, a device."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


class NotRegular(OSError):
    """Something else than a regular file lies there; ``strerror`` is a clause that says what."""


def open_regular(path: Path, flags: int, mode: int = 0o600, *, follow: bool = False) -> int:
    """A descriptor of a regular file, close-on-exec. Raises ``OSError``, which is ``NotRegular`` for anything else.

    It never waits, as opening a pipe does, and follows no link in the file's place unless ``follow``. Truncate what is
    opened, if at all, by the descriptor: ``O_TRUNC`` acts before it is known what was opened.
    """
    flags |= os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags, mode)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO) and (kind := other_kind(path)):
            raise not_regular(path, kind) from error
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    kind = kind_of(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    raise not_regular(path, kind)


def other_kind(path: Path) -> str:
    """What lies there instead of a regular file; empty where one does, or nothing."""
    try:
        return kind_of(path.lstat().st_mode)
    except OSError:
        return ""


def kind_of(mode: int) -> str:
    """What a mode stands for, other than a regular file."""
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "")


def not_regular(path: Path, kind: str = "a folder") -> NotRegular:
    return NotRegular(errno.EINVAL, f"it is {kind}, not a regular file", str(path))


def read_regular(path: Path, most: int = -1) -> bytes:
    """The bytes of a regular file, the first ``most`` of them. Raises ``OSError``."""
    descriptor = open_regular(path, os.O_RDONLY)
    with naming(path), os.fdopen(descriptor, "rb") as file:
        return file.read(most)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An ``OSError`` of reading or writing an open file names it: by itself it knows a descriptor only."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
