"""An exported copy of the tree to commit, for hooks to run on, and detection of what a hook changed in it."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ledger.errors import GitFailed
from ledger.ids import uuid7_hex
from ledger.paths import read_regular
from tools.contained import remove_special, remove_tree
from tools.git import Git
from tools.private_index import PrivateIndex
from tools.untrusted_tree import list_programs

SHOWN_BYTES = 20_000
LARGEST_INDEX = 16 << 20
"""Maximum size of the index after a hook, or twice its size before, if that is more."""
LARGEST_MESSAGE = 1 << 20
ARENAS = "hooks"  # in the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """``tree``: the files; ``desk``: the hook's own copies of index and message; ``kept``: the originals.

    ``files`` compares the tree with what is to be committed, without submodules. Files with a git filter contain what
    is committed: no filter is run on this tree.
    """

    git: Git
    tree: Path
    desk: Path
    kept: Path
    files: PrivateIndex

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments of the hook: the message file, for commit-msg."""
        message = self.desk / "COMMIT_EDITMSG"
        return (str(message),) if (self.kept / "message").exists() else ()

    def env(self, seen_at: Path) -> dict[str, str]:
        """The environment that git sets for a hook. ``seen_at``: the tree's path as the hook sees it."""
        return {
            "GIT_DIR": str(self.git.places.git_dir),
            "GIT_WORK_TREE": str(seen_at),
            "GIT_INDEX_FILE": str(self.desk / "index"),
            "GIT_EDITOR": ":",
            "GIT_OPTIONAL_LOCKS": "0",
        }

    def script(self, script: Path) -> Path:
        """A hook script's path; for one inside the checkout, its path in the copy."""
        repo, common = self.git.places.repo, self.git.places.common_dir
        if script.is_relative_to(repo) and not script.is_relative_to(common):
            return self.tree / script.relative_to(repo)
        return script

    async def changes_hooks(self, script: Path) -> bool:
        """Whether the commit changes the folder of the hook script, if that is in the checkout."""
        repo = self.git.places.repo
        if self.script(script) == script:
            return False
        folder = str(script.parent.relative_to(repo))
        done = await asyncio.to_thread(self.files.run, "diff", "--cached", "--quiet", "HEAD", "--", folder, ok=(0, 1))
        return done.code == 1

    async def edits(self) -> str:
        """What the hook changed in files, index or message, as a diff; empty when nothing.

        The tree, index and message that the hook leaves are treated as untrusted.
        """
        return await asyncio.to_thread(self._edits)

    def _edits(self) -> str:
        remove_special(self.tree)  # git would block forever reading a pipe
        parts = [self.files.run("diff").out, self._index_edits()]
        if self.arguments:
            parts.append(self._message_edits())
        return b"".join(parts)[:SHOWN_BYTES].decode("utf-8", errors="replace")

    def _index_edits(self) -> bytes:
        data = _read(self.desk / "index", max(LARGEST_INDEX, 2 * (self.kept / "index").stat().st_size))
        if data is None:
            return b"the index cannot be read any more: it is no plain file, or far larger than it was\n"
        # git may update an index while reading it, even through a link: give it a copy.
        copy = self.kept / "index.of-hook"
        copy.write_bytes(data)
        own, hooks = (replace(self.files, index=index) for index in (self.kept / "index", copy))
        try:  # no write-tree of the hook's index: its objects would remain in the owner's repository
            if own.run("ls-files", "-s", "-z").out == hooks.run("ls-files", "-s", "-z").out:
                return b""
            return hooks.run("diff-index", "--cached", "-p", own.write_tree()).out or b"the index was changed\n"
        except GitFailed as error:
            return f"the index cannot be read any more: {error.stderr or error.message}\n".encode()

    def _message_edits(self) -> bytes:
        old, new = (self.kept / "message").read_bytes(), _read(self.desk / "COMMIT_EDITMSG", LARGEST_MESSAGE)
        if new == old:
            return b""
        before, after = (
            (data or b"").decode("utf-8", errors="replace").splitlines(keepends=True) for data in (old, new)
        )
        shown = "".join(difflib.unified_diff(before, after, "a/message", "b/message"))
        return f"{shown}\nthe commit message was changed\n".encode()


def _read(path: Path, limit: int) -> bytes | None:
    """Bytes of a regular file of at most ``limit`` bytes; None for anything else."""
    try:
        data = read_regular(path, limit + 1)
    except OSError:
        return None
    return data if len(data) <= limit else None


@asynccontextmanager
async def open_arena(git: Git, *, index: Path, message: Path | None) -> AsyncIterator[Arena]:
    """An arena for one run of one hook, removed afterwards."""
    base = git.places.cache / ARENAS / uuid7_hex()
    programs = await asyncio.to_thread(list_programs, git)
    files = PrivateIndex(git=git, root=base / "tree", index=base / "kept" / "files", programs=programs)
    arena = Arena(git=git, tree=files.root, desk=base / "desk", kept=base / "kept", files=files)
    try:
        await asyncio.to_thread(_fill, arena, index, message)
        yield arena
    finally:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(remove_tree, base)


def _fill(arena: Arena, index: Path, message: Path | None) -> None:
    for folder in (arena.tree, arena.desk, arena.kept):
        folder.mkdir(mode=0o700, parents=True)
    shutil.copyfile(index, arena.files.index)
    arena.files.checkout_all()
    for folder in (arena.desk, arena.kept):
        shutil.copyfile(arena.files.index, folder / "index")
    arena.files.drop_gitlinks()
    if message is not None:
        shutil.copyfile(message, arena.kept / "message")
        shutil.copyfile(message, arena.desk / "COMMIT_EDITMSG")
