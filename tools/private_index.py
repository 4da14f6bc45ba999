"""A private index: git's staging area in a file of our own, so that the owner's is never read for writing.

Repository features that would put files beside the owner's index, or hide entries, are switched off for these calls.
"""

from __future__ import annotations

import contextlib
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.git import Git, GitResult

_OFF = ("core.splitIndex", "core.untrackedCache", "core.sparseCheckout", "index.sparse")
_ENV = {
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_CONFIG_COUNT": str(len(_OFF)),
    **{f"GIT_CONFIG_KEY_{n}": name for n, name in enumerate(_OFF)},
    **{f"GIT_CONFIG_VALUE_{n}": "false" for n in range(len(_OFF))},
}


@dataclass(frozen=True, slots=True)
class PrivateIndex:
    """One index file and the work tree that it describes. Every method blocks; raises ``GitFailed``."""

    git: Git
    file: Path
    work_tree: Path

    def run(
        self, *args: str, stdin: bytes | None = None, ok: tuple[int, ...] = (0,), env: Mapping[str, str] | None = None
    ) -> GitResult:
        return self.git.run(
            *args, stdin=stdin, index=self.file, work_tree=self.work_tree, ok=ok, extra_env={**_ENV, **(env or {})}
        )

    def load(self, tree_ish: str) -> None:
        """Make the index say what ``tree_ish`` holds; the work tree is not touched."""
        self.run("read-tree", tree_ish)

    def changed(self) -> tuple[str, ...]:
        """Tracked paths whose file differs from the index (gone ones too)."""
        self.run("update-index", "-q", "--refresh", "--ignore-submodules", ok=(0, 1))
        return self.run("diff-files", "--name-only", "-z", "--ignore-submodules=all").fields

    def untracked(self, *, limit_bytes: int | None = None) -> tuple[str, ...]:
        """Files and links that git neither tracks nor ignores, without nested repositories and very large files."""
        found = self.run("ls-files", "-o", "--exclude-standard", "-z").fields
        return tuple(path for path in found if _wanted(self.work_tree / path, limit_bytes))

    def checkout(self, paths: Collection[str]) -> None:
        """Write the index's files at ``paths`` to the work tree, whatever stands there."""
        if paths:
            self.run("checkout-index", "-f", "-u", "-q", "-z", "--stdin", stdin=_names(paths))

    def take(self, paths: Collection[str]) -> None:
        """Record the work tree's state of ``paths`` (present, changed or gone)."""
        if paths:
            self.run("update-index", "--add", "--remove", "-z", "--stdin", stdin=_names(paths))

    def take_all(self, *, limit_bytes: int | None = None) -> None:
        """Record everything that is there: tracked changes, and untracked files that are not ignored."""
        self.take({*self.changed(), *self.untracked(limit_bytes=limit_bytes)})

    def write_tree(self) -> str:
        return self.run("write-tree").text


def _names(paths: Collection[str]) -> bytes:
    return "\0".join(sorted(paths)).encode("utf-8", errors="surrogateescape")


def _wanted(path: Path, limit_bytes: int | None) -> bool:
    try:
        info = path.lstat()
    except OSError:
        return False
    if stat.S_ISLNK(info.st_mode):
        return True
    return stat.S_ISREG(info.st_mode) and (limit_bytes is None or info.st_size <= limit_bytes)


@contextlib.contextmanager
def scratch_index(git: Git, work_tree: Path, *, start: Path | None, folder: Path) -> Iterator[PrivateIndex]:
    """An index that lives for one block, begun as a copy of ``start`` (its cached file times make it quick)."""
    with tempfile.TemporaryDirectory(prefix="index-", dir=folder) as name:
        file = Path(name) / "index"
        if start is not None and start.exists():
            shutil.copy2(start, file)
        yield PrivateIndex(git, file, work_tree)
