"""What is watched: folders that git does not ignore, and inside the git folder only what tells of HEAD and branches.

Pure, except for :func:`folders`, which looks at the disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.places import Places
from sensors.bus import Topic

NEVER = frozenset({".git", "node_modules", "__pycache__", ".venv"})
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


def _below(path: str, folder: str) -> str | None:
    """``path`` relative to ``folder``; None when it is not inside."""
    return path[len(folder) + 1 :] if path.startswith(f"{folder}/") else None


@dataclass(frozen=True, slots=True)
class Scope:
    """The folders of one repository as text, made once: this is asked for every event."""

    repo: str
    git_dir: str
    common_dir: str
    spool: str

    @classmethod
    def of(cls, places: Places) -> Scope:
        return cls(str(places.repo), str(places.git_dir), str(places.common_dir), str(places.spool))

    @property
    def heads(self) -> str:
        return f"{self.common_dir}/refs/heads"

    def topic(self, path: str) -> Topic | None:
        """What a changed path (absolute) tells of; None when it tells nothing."""
        in_spool = _below(path, self.spool)
        if in_spool is not None:
            return Topic.TESTS_REPORTED if in_spool.endswith(".json") and not in_spool.startswith(".") else None
        for root in (self.git_dir, self.common_dir):
            inside = _below(path, root)
            if inside is not None:
                moved = inside in STATE_FILES or (inside.startswith("refs/heads/") and not inside.endswith(".lock"))
                return Topic.REFS_MOVED if moved else None
        relative = _below(path, self.repo)
        if relative is None or not NEVER.isdisjoint(relative.split("/")):
            return None
        return Topic.FILES_CHANGED

    def relative(self, path: str) -> str:
        """An absolute path of the work tree as git says it."""
        return path[len(self.repo) + 1 :]

    def is_ref_folder(self, path: str) -> bool:
        """Is this folder (absolute) one that holds branches?"""
        return path == self.heads or path.startswith(f"{self.heads}/")

    def enters_git(self, folder: str) -> bool:
        """May a look at the git folder go into this part of it? Only where branches are."""
        return folder == f"{self.common_dir}/refs" or self.is_ref_folder(folder)

    def fixed(self) -> tuple[str, ...]:
        """Folders outside the work tree that are always watched, each for itself."""
        return tuple(dict.fromkeys((self.git_dir, self.common_dir, self.spool)))


def enters(folder: str) -> bool:
    """May the watch go into this folder? Not into what is nobody's source, other repositories or environments."""
    path = Path(folder)
    if path.name in NEVER:
        return False
    return not ((path / ".git").exists() or (path / "pyvenv.cfg").exists())


def folders(top: str, *, skip: Callable[[str], bool]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """``top`` and every folder below it that is to be watched, each with the files in it. Links are not followed."""
    for root, below, files in os.walk(top):
        below[:] = [
            name
            for name in sorted(below)
            if not os.path.islink(f"{root}/{name}") and enters(f"{root}/{name}") and not skip(f"{root}/{name}")  # noqa: PTH114  # a Path for each name of a large tree is what takes the time
        ]
        yield root, tuple(f"{root}/{name}" for name in files)
