"""Path resolution, and comparison of places through links, bind mounts and other spellings of a path.

Blocking, but nothing is opened: only names are looked up. A path that cannot be resolved is resolved as far as it can.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

MOST_LINKS = 40  # as many as the kernel follows
_MOUNTS = "/proc/self/mountinfo"
Mounts = dict[str, str]


class Relation(StrEnum):
    """Position of one place relative to another."""

    SAME = "same"
    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Spot:
    """A place: its real path, device and inode of it and of each folder above, and its path within its file system.

    Only the last reveals a bind mount of a folder *inside* another one.
    """

    real: str
    numbers: tuple[tuple[int, int] | None, ...]  # None: it does not exist
    within: str

    def relation(self, other: Spot) -> Relation | None:
        """Position of this place relative to ``other``; None when neither contains the other."""
        mine, theirs = self.numbers[0], other.numbers[0]
        if self.real == other.real or self.within == other.within or (mine is not None and mine == theirs):
            return Relation.SAME
        if self._is_above(other):
            return Relation.ABOVE
        return Relation.BELOW if other._is_above(self) else None

    def _is_above(self, other: Spot) -> bool:
        if _is_below(other.real, self.real) or _is_below(other.within, self.within):
            return True
        return self.numbers[0] is not None and self.numbers[0] in other.numbers[1:]

    def path_to(self, other: Spot) -> str:
        """The path from this place to ``other``, which lies below it."""
        if _is_below(other.real, self.real):
            return os.path.relpath(other.real, self.real)
        if self.numbers[0] is not None and self.numbers[0] in other.numbers[1:]:
            return "/".join(other.real.split("/")[-other.numbers.index(self.numbers[0]) :])
        return os.path.relpath(other.within, self.within)


class Survey:
    """Look-ups of places, cached for the lifetime of the object."""

    def __init__(self) -> None:
        self._mounts = _mounts(_mount_table())
        self._spots: dict[str, Spot] = {}
        self._numbers: dict[str, tuple[int, int] | None] = {}

    def spot(self, path: Path | str) -> Spot:
        """The place of ``path``. Raises ``ValueError`` for an invalid path (with a NUL)."""
        name = os.fspath(path)
        known = self._spots.get(name)
        if known is None:
            real = os.path.realpath(name)
            known = self._spots[name] = Spot(
                real, tuple(map(self._number, _upwards(real))), _within(real, self._mounts)
            )
        return known

    def spots(self, paths: Iterable[Path | str]) -> tuple[Spot, ...]:
        """The places of several paths."""
        return tuple(self.spot(path) for path in paths)

    def _number(self, real: str) -> tuple[int, int] | None:
        if real not in self._numbers:
            try:
                seen = os.stat(real)  # noqa: PTH116 - many times a job, and strings are quicker
                self._numbers[real] = (seen.st_dev, seen.st_ino)
            except OSError:
                self._numbers[real] = None
        return self._numbers[real]


def _upwards(real: str) -> Iterator[str]:
    """A path and each folder above it."""
    yield real
    while real != "/":
        real = os.path.dirname(real)  # noqa: PTH120
        yield real


def way(path: Path | str) -> Iterator[str]:
    """Every component visited to resolve ``path``, links by their own path; the last is the path it resolves to.

    Raises ``OSError`` for a loop of links, ``ValueError`` for an invalid path.
    """
    here, left, links = "/", [part for part in reversed(os.fspath(path).split("/")) if part not in ("", ".")], 0
    place = ""
    while left:
        part = left.pop()
        if part == "..":
            here = os.path.dirname(here)  # noqa: PTH120 - it is real so far
            continue
        place = os.path.join(here, part)  # noqa: PTH118
        yield place
        try:
            target = os.readlink(place)  # noqa: PTH115
        except OSError:
            here = place
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(f"{os.fspath(path)!r} leads through too many links")
        if target.startswith("/"):
            here = "/"
        left += [part for part in reversed(target.split("/")) if part not in ("", ".")]
    if here != place:  # the path ends in `..`, or is the root
        yield here


def _is_below(path: str, folder: str) -> bool:
    if not path.startswith(folder) or path == folder:
        return False
    return folder.endswith("/") or path[len(folder)] == "/"


def _within(real: str, mounts: Mounts) -> str:
    """The file system (device number) and the path within it, as one string."""
    for point in _upwards(real):
        inside = mounts.get(point)
        if inside is not None:
            rest = real[len(point) :].lstrip("/")
            return f"{inside}/{rest}" if rest else inside
    return real


def _mount_table() -> bytes:
    try:
        with open(_MOUNTS, "rb", buffering=0) as file:  # noqa: PTH123
            return b"".join(iter(lambda: file.read(1 << 16), b""))
    except OSError:
        return b""


@lru_cache(maxsize=4)
def _mounts(table: bytes) -> Mounts:
    """Mount points with the file system and its folder that is mounted there. A later mount hides an earlier one."""
    found: Mounts = {}
    for line in table.splitlines():
        fields = line.split(b" ")
        if len(fields) > 4:
            number, inside, point = (os.fsdecode(_plain(field)) for field in fields[2:5])
            found[point] = f"{number}:{inside}".rstrip("/")
    return found


def _plain(field: bytes) -> bytes:
    r"""Decode octal escapes (``\040``) of the mount table."""
    first, *rest = field.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] if len(part) >= 3 else part for part in rest)


def is_folder(path: Path | str) -> bool:
    """Whether ``path`` is a folder; False when that cannot be determined, and for an invalid path."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path | str) -> bool:
    """Whether ``path`` is a regular file, and not a link to one; False when that cannot be determined."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def escape_path(path: Path | str) -> str:
    """A path for use in a message: unprintable characters are escaped."""
    text = str(path)
    return text if text.isprintable() else repr(text)[1:-1]
