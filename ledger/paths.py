"""Safe opening of files and folders where others may have put a pipe, link or device in their place."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)
MOST_TEXT = 256 * 1024
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class NotRegular(OSError):
    """The path is not a regular file; ``strerror`` is a clause: ``it is a named pipe, not a regular file``."""


class LinkInPath(NotADirectoryError):
    """A component of a path is a symbolic link; ``filename`` is its name."""


def open_regular(path: Path, flags: int, mode: int = 0o600, *, follow: bool = False) -> int:
    """A close-on-exec descriptor of a regular file. Raises ``NotRegular`` for other file types, else ``OSError``.

    Never blocks, as opening a pipe would, and does not follow a symbolic link at ``path`` unless ``follow``. To
    truncate, use the descriptor: ``O_TRUNC`` would act before the file type is known.
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
    """What is at ``path`` instead of a regular file, e.g. ``a folder``; empty for a regular file or nothing."""
    try:
        return kind_of(path.lstat().st_mode)
    except OSError:
        return ""


def kind_of(mode: int) -> str:
    """The file type of a mode in words; empty for a regular file."""
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "")


def not_regular(path: Path, kind: str = "a folder") -> NotRegular:
    return NotRegular(errno.EINVAL, f"it is {kind}, not a regular file", str(path))


def read_regular(path: Path, most: int = -1) -> bytes:
    """The first ``most`` bytes of a regular file (-1: all). Raises ``OSError``."""
    descriptor = open_regular(path, os.O_RDONLY)
    with naming(path), os.fdopen(descriptor, "rb") as file:
        return file.read(most)


def read_text(path: Path, *, most: int = MOST_TEXT) -> str | None:
    """The first ``most`` bytes of a regular file, or of one that a link leads to, as text; None for anything else.

    Bytes that are not UTF-8 become U+FFFD.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - opening a device may do something
            return None
        with os.fdopen(open_regular(path, os.O_RDONLY, follow=True), "rb") as file:
            return file.read(most).decode("utf-8", errors="replace")
    except (OSError, ValueError):
        return None


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add ``path`` to an ``OSError`` of the block: errors of reading or writing a descriptor name no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def open_below(top: int, folders: Iterable[str], *, create: bool = False) -> int:
    """Descriptor of a folder below the open folder ``top``, which is closed; the caller closes the new one.

    Each component is opened relative to its parent, so no concurrent process can swap a folder for a link between check
    and use. ``create`` makes missing folders. Raises ``LinkInPath``, else ``OSError``; ``filename`` is the component.
    """
    for name in folders:
        try:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=top)
            below = os.open(name, FOLDER, dir_fd=top)
        except OSError as error:
            if is_link(name, top):
                raise LinkInPath(errno.ENOTDIR, "it is a symbolic link", name) from error
            raise
        finally:
            os.close(top)
        top = below
    return top


def is_link(name: str, folder: int) -> bool:
    """Whether ``name`` in an open folder is a symbolic link; False when that cannot be determined."""
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False
