"""Reading a file that the owner names: bounded, and inside of the repository never through a link. Blocks."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime

from ledger.paths import open_below
from sensors.watch.named import below


class FileRefused(ValueError):
    """The file is there, but is not read, with the reason."""


@dataclass(frozen=True, slots=True)
class NamedFile:
    data: bytes
    written: datetime


def resolve_path(path: str, top: str) -> str:
    """A path of the settings as an absolute one. Relative ones begin at the top of the repository; in others the
    folder is the real one, as the watcher names it."""
    if not path.startswith("/"):
        return os.path.normpath(f"{top}/{path}")
    folder, _, name = os.path.normpath(path).rpartition("/")
    return f"{os.path.realpath(folder or '/').rstrip('/')}/{name}"


def read_named(path: str, *, top: str, largest: int) -> NamedFile | None:
    """The file at an absolute ``path``; None when there is none. Raises `Refused`.

    A link that the owner has put elsewhere is his way of naming the newest file; one inside of the repository may have
    come with a commit, and could lead anywhere.
    """
    inside = below(path, top)
    try:
        descriptor = _open(path) if inside is None else _open_inside(top, inside.split("/"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileRefused(f"it cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileRefused("it is not a regular file")
        data = file.read(largest + 1) if status.st_size <= largest else b""
    if status.st_size > largest or len(data) > largest:
        raise FileRefused(f"it is larger than {largest} bytes")
    return NamedFile(data=data, written=datetime.fromtimestamp(status.st_mtime, UTC))


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _open_inside(top: str, parts: list[str]) -> int:
    """Each step without following a link."""
    *folders, name = parts
    folder = open_below(os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), folders)
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
