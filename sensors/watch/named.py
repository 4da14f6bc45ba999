"""Places watched beside the repository: files and folders from the settings, and branches of other repositories.

Paths are absolute and real, as text. Pure, except for functions that look at the disk, whose docstrings mention it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

STATE_FILES = frozenset(
    {
        "HEAD",
        "packed-refs",
        "MERGE_HEAD",
        "CHERRY_PICK_HEAD",
        "REVERT_HEAD",
        "REBASE_HEAD",
        "BISECT_LOG",
        "rebase-merge",
        "rebase-apply",
    }
)


def below(path: str, folder: str) -> str | None:
    """``path`` relative to ``folder``; None when it is not inside."""
    return path[len(folder) + 1 :] if path.startswith(f"{folder}/") else None


@dataclass(frozen=True, slots=True)
class Refs:
    """Where HEAD and the branches of one checkout lie."""

    git_dir: str
    common_dir: str

    @property
    def heads(self) -> str:
        return f"{self.common_dir}/refs/heads"

    def holds(self, path: str) -> bool:
        """Is it in the git folder at all?"""
        return path.startswith((f"{self.git_dir}/", f"{self.common_dir}/"))

    def moved(self, path: str) -> bool:
        """True when a change of this path concerns HEAD, a branch, or the marks of a merge or rebase."""
        insides = (inside for root in (self.git_dir, self.common_dir) if (inside := below(path, root)) is not None)
        inside = next(insides, "")
        return inside in STATE_FILES or (inside.startswith("refs/heads/") and not inside.endswith(".lock"))

    def present(self) -> set[str]:
        """All that :meth:`moved` speaks of: what is there, and what may come to be. Looks at the disk."""
        states = {f"{root}/{name}" for root in (self.git_dir, self.common_dir) for name in STATE_FILES}
        branches = (f"{folder}/{name}" for folder, _, names in os.walk(self.heads) for name in names)
        return states | {path for path in branches if self.moved(path)}

    def is_folder(self, path: str) -> bool:
        """Is this folder one that holds branches?"""
        return path == self.heads or path.startswith(f"{self.heads}/")

    def enters(self, folder: str) -> bool:
        """May a look at the git folder go into this part of it? Only where branches are."""
        return folder == f"{self.common_dir}/refs" or self.is_folder(folder)


@dataclass(frozen=True, slots=True)
class Named:
    """Files, and folders in which files with certain endings count. They are watched whether git ignores them or not,
    inside of the repository and elsewhere, and as soon as they come to be."""

    files: frozenset[str] = frozenset()
    folders: tuple[tuple[str, tuple[str, ...]], ...] = ()
    places: tuple[str, ...] = field(init=False, default=())  # the folders of all that, asked for every event

    def __post_init__(self) -> None:
        parents = (path.rpartition("/")[0] or "/" for path in sorted(self.files))
        object.__setattr__(self, "places", tuple(dict.fromkeys((*parents, *(folder for folder, _ in self.folders)))))

    def tells(self, path: str) -> bool:
        """Is this a file that the owner named, or one in a folder that he named?"""
        if path in self.files:
            return True
        place = path.rpartition("/")[0]
        return any(folder == place and path.lower().endswith(endings) for folder, endings in self.folders)

    def leads(self, folder: str) -> bool:
        """Is it a folder of such a file, or one on the way to it?"""
        return any(place == folder or place.startswith(f"{folder}/") for place in self.places)

    def watched(self) -> tuple[str, ...]:
        """The folders to watch, as far as they are there: each with the one above it, which shows when it comes back.

        Looks at the disk.
        """
        found: dict[str, None] = {}
        for place in self.places:
            there = [folder for folder in _upwards(place) if os.path.isdir(folder)]  # noqa: PTH112  # text in, text out
            found |= dict.fromkeys(there[:2] if there[:1] == [place] else there[:1])
        return tuple(found)

    def present(self, top: str) -> set[str]:
        """The files of interest in a folder or below it. Looks at the disk."""
        found: set[str] = set()
        for place in self.places:
            if place == top or place.startswith(f"{top}/"):
                with contextlib.suppress(OSError):  # it has not come yet, or it is gone again
                    found |= {path for name in os.listdir(place) if self.tells(path := f"{place}/{name}")}  # noqa: PTH208
        return found


def _upwards(folder: str) -> Iterator[str]:
    while folder and folder != "/":
        yield folder
        folder = folder.rpartition("/")[0]
    yield "/"
