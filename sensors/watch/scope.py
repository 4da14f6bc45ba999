"""What is watched: folders that git does not ignore, HEAD and branches in the git folder, and places from the settings.

Pure, except for :func:`folders`, which looks at the disk.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ledger.places import Places
from sensors.bus import Topic
from sensors.watch.named import Named, Refs, below


class Checksums:
    """Remembers what files looked like. Blocks; one thread at a time."""

    def __init__(self, *, limit: int, whole_bytes: int) -> None:
        self._limit = limit
        self._whole_bytes = whole_bytes
        self._known: OrderedDict[str, str] = OrderedDict()

    def changed(self, paths: Iterable[str]) -> list[str]:
        """Those paths that are not as they were when last asked about; one that was never asked about is changed."""
        found = []
        for path in paths:
            now = checksum(path, self._whole_bytes)
            if now != self._known.get(path):
                self._known[path] = now
                found.append(path)
            self._known.move_to_end(path)
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        return found


def checksum(path: str, whole_bytes: int) -> str:
    """Mode and contents of a regular file, target of a link, size and time of a file over ``whole_bytes``; a word for
    what is something else or gone. Never follows a link, never waits for a pipe."""
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return f"link {os.readlink(path)}"  # noqa: PTH115  # text in, text out
        if not stat.S_ISREG(status.st_mode):
            return "folder" if stat.S_ISDIR(status.st_mode) else "special"
        if status.st_size > whole_bytes:
            return f"large {status.st_size} {status.st_mtime_ns}"
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return f"{status.st_mode & 0o111} {hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError:
        return "gone"


NOTHING = Named()
NEVER = frozenset({".git", "node_modules", "__pycache__", ".venv"})


@dataclass(frozen=True, slots=True)
class WatchScope:
    """The folders of one repository as text, made once, since it is used for every event."""

    repo: str
    git_dir: str
    common_dir: str
    spool: str
    named: Named = NOTHING
    others: tuple[Refs, ...] = ()  # of other repositories

    @classmethod
    def of(cls, places: Places, named: Named | None = None) -> WatchScope:
        return cls(str(places.repo), str(places.git_dir), str(places.common_dir), str(places.spool), named or NOTHING)

    def with_other(self, refs: Refs) -> WatchScope:
        """The same, and the branches of another repository."""
        return self if refs in self.others else replace(self, others=(*self.others, refs))

    @property
    def refs(self) -> Refs:
        return Refs(self.git_dir, self.common_dir)

    @property
    def heads(self) -> tuple[str, ...]:
        """The folders of branches, ours first."""
        return (self.refs.heads, *(other.heads for other in self.others))

    def topic(self, path: str) -> Topic | None:
        """The subject of a changed path (absolute); None when there is none."""
        if self.named.tells(path):
            return Topic.NAMED_CHANGED
        in_spool = below(path, self.spool)
        if in_spool is not None:
            return Topic.TESTS_REPORTED if in_spool.endswith(".json") and not in_spool.startswith(".") else None
        if self.refs.holds(path):
            return Topic.REFS_MOVED if self.refs.moved(path) else None
        other = next((refs for refs in self.others if refs.holds(path)), None)
        if other is not None:
            return Topic.REFS_ELSEWHERE if other.moved(path) else None
        relative = below(path, self.repo)
        if relative is None or not NEVER.isdisjoint(relative.split("/")):
            return None
        return Topic.FILES_CHANGED

    def relative(self, path: str) -> str:
        """An absolute path of the work tree as git writes it."""
        return path[len(self.repo) + 1 :]

    def is_ref_folder(self, path: str) -> bool:
        """Is this folder (absolute) one that holds branches?"""
        return self.refs.is_folder(path) or any(refs.is_folder(path) for refs in self.others)

    def is_beside(self, folder: str) -> bool:
        """Does this folder (absolute) matter although it may be none of the work tree's?"""
        return self.named.leads(folder) or any(folder in (refs.git_dir, refs.common_dir) for refs in self.others)

    def in_git(self, folder: str) -> Refs | None:
        """The git folder that this folder lies in."""
        return next((refs for refs in (self.refs, *self.others) if refs.holds(folder)), None)

    def fixed(self) -> tuple[str, ...]:
        """Folders outside the work tree that are always watched, each for itself."""
        others = (folder for refs in self.others for folder in (refs.git_dir, refs.common_dir))
        return tuple(dict.fromkeys((self.git_dir, self.common_dir, self.spool, *others)))


def enters(folder: str) -> bool:
    """May the watch go into this folder? Not into generated folders, other repositories or environments."""
    path = Path(folder)
    if path.name in NEVER:
        return False
    return not ((path / ".git").exists() or (path / "pyvenv.cfg").exists())


def folders(
    top: str, *, skip: Callable[[str], bool], enter: Callable[[str], None] = lambda folder: None
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """``top`` and every folder below it that is to be watched, each with the files in it. Links are not followed.

    ``enter`` is called with a folder before its files are listed: where that watches it, each file is either found or
    reported.
    """
    enter(top)
    for root, inner, files in os.walk(top):
        inner[:] = [
            name
            for name in sorted(inner)
            if not os.path.islink(f"{root}/{name}") and enters(f"{root}/{name}") and not skip(f"{root}/{name}")  # noqa: PTH114  # a Path for each name of a large tree is what takes the time
        ]
        for name in inner:
            enter(f"{root}/{name}")
        yield root, tuple(f"{root}/{name}" for name in files)
