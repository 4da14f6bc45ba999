"""Where a path really leads, and whether two paths name one place: through links, bind mounts and other spellings.

Blocking, and nothing is opened: only names are looked up. A path that cannot be followed leads as far as it can.
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
Mounts = tuple[tuple[str, str], ...]


class Relation(StrEnum):
    """How one place lies to another."""

    SAME = "same"
    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Spot:
    """A place: its real path, device and inode of itself and of each folder above it, and where its file system has it.

    The last tells a bind mount of a folder *inside* another one, which no number does.
    """

    real: str
    numbers: tuple[tuple[int, int] | None, ...]  # None: it is not there
    within: str

    def relation(self, other: Spot) -> Relation | None:
        """How this place lies to ``other``; None when neither holds the other."""
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


def spot(path: Path | str) -> Spot:
    """Where ``path`` lies. Raises ``ValueError`` for what is no path (a NUL in it)."""
    return next(spots((path,)))


def spots(paths: Iterable[Path | str]) -> Iterator[Spot]:
    """The same of several paths."""
    mounts = _mounts(_mount_table())
    return (_spot(os.path.realpath(path), mounts) for path in paths)


def _spot(real: str, mounts: Mounts) -> Spot:
    numbers: list[tuple[int, int] | None] = []
    here = real
    while True:
        seen = _stat(here)
        numbers.append((seen.st_dev, seen.st_ino) if seen is not None else None)
        if here == "/":
            break
        here = os.path.dirname(here)  # noqa: PTH120 - many times a job, and strings are quicker
    return Spot(real, tuple(numbers), _within(real, mounts))


def relation(path: Path | str, other: Path | str) -> Relation | None:
    """How ``path`` lies to ``other``."""
    first, second = spots((path, other))
    return first.relation(second)


def holds(folder: Path | str, path: Path | str) -> bool:
    """Whether ``path`` is ``folder`` or lies below it, under whatever name."""
    return relation(path, folder) in (Relation.SAME, Relation.BELOW)


def way(path: Path | str) -> Iterator[str]:
    """Each place that is passed on the way to ``path``, links by their own place; the last is where it leads.

    Raises ``OSError`` for a path whose links lead in a circle, ``ValueError`` for what is no path.
    """
    here, left, links = "/", [part for part in reversed(os.fspath(path).split("/")) if part not in ("", ".")], 0
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


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder if folder.endswith("/") else f"{folder}/") and path != folder


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116
    except OSError:
        return None


def _within(real: str, mounts: Mounts) -> str:
    """The file system and the path in it."""
    for point, inside in mounts:
        if real == point or _is_below(real, point):
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
    """Places of mounts with the file system and the folder of it that is seen there: deepest first, latest first."""
    found: list[tuple[str, str]] = []
    for line in reversed(table.splitlines()):
        fields = line.split(b" ")
        if len(fields) > 4:
            number, inside, point = (os.fsdecode(_plain(field)) for field in fields[2:5])
            found.append((point, f"{number}:{inside}".rstrip("/")))
    return tuple(sorted(found, key=lambda one: -len(one[0])))


def _plain(field: bytes) -> bytes:
    r"""``\040`` and the like are characters."""
    first, *rest = field.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] if len(part) >= 3 else part for part in rest)


def is_folder(path: Path | str) -> bool:
    """Whether a folder is there; False where that cannot be seen, and for what is no path."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path | str) -> bool:
    """Whether a regular file is there, itself and no link to one; False where that cannot be seen."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False
