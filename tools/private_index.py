"""A private git index: a staging area in a file of our own, so that the owner's index is never written."""

from __future__ import annotations

import contextlib
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.git import Git
from tools.untrusted_tree import Programs, UntrustedTree, join_names


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateIndex(UntrustedTree):
    """One index file and its work tree. Every method blocks; raises ``GitFailed``."""

    def load(self, tree_ish: str) -> None:
        """Read ``tree_ish`` into the index; the work tree is not touched."""
        self.run("read-tree", tree_ish)

    def changed(self) -> tuple[str, ...]:
        """Tracked paths whose file differs from the index, deleted ones included."""
        self.run("update-index", "-q", "--refresh", ok=(0, 1))
        return self.run("diff-files", "--name-only", "-z").fields

    def untracked(self, *, limit_bytes: int | None = None) -> tuple[str, ...]:
        """Files and links that git neither tracks nor ignores, without nested repositories and too large files."""
        found = self.run("ls-files", "-o", "--exclude-standard", "-z").fields
        return tuple(path for path in found if _wanted(self.root / path, limit_bytes))

    def checkout(self, paths: Collection[str]) -> None:
        """Write the index's files at ``paths`` to the work tree, overwriting what is there."""
        if paths:
            self.run("checkout-index", "-f", "-u", "-q", "-z", "--stdin", stdin=join_names(paths))

    def checkout_all(self) -> None:
        """Write every file of the index whose cached file times differ; costs one lstat per file."""
        self.run("checkout-index", "-a", "-f", "-u", "-q")

    def take_all(self, *, limit_bytes: int | None = None) -> None:
        """Stage everything: tracked changes, and untracked files that are not ignored."""
        self.take({*self.changed(), *self.untracked(limit_bytes=limit_bytes)})

    def graft(self, tree_ish: str, paths: Collection[str]) -> None:
        """Set the entries of ``paths`` to those that they have in ``tree_ish``."""
        if paths:
            rows = self.run("ls-tree", "-r", "-z", "--full-tree", tree_ish, "--", *paths).out
            self.run("update-index", "-z", "--index-info", stdin=rows)

    def write_tree(self) -> str:
        return self.run("write-tree").text


def _wanted(path: Path, limit_bytes: int | None) -> bool:
    try:
        info = path.lstat()
    except OSError:
        return False
    if stat.S_ISLNK(info.st_mode):
        return True
    return stat.S_ISREG(info.st_mode) and (limit_bytes is None or info.st_size <= limit_bytes)


@contextlib.contextmanager
def scratch_index(
    git: Git, root: Path, *, start: Path | None, folder: Path, programs: Programs | None = None
) -> Iterator[PrivateIndex]:
    """A temporary index in ``folder``, begun as a copy of ``start``: its cached file times make a refresh fast."""
    with tempfile.TemporaryDirectory(prefix="index-", dir=folder) as name:
        file = Path(name) / "index"
        if start is not None and start.exists():
            shutil.copy2(start, file)
        yield PrivateIndex(git=git, root=root, index=file, programs=programs or Programs())
