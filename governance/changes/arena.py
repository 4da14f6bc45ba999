"""An exported copy of what is to be committed, for a hook to look at, and what the hook did to it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import GitFailed
from ledger.ids import uuid7_hex
from tools.git import Git

SHOWN_BYTES = 20_000
ARENAS = "hooks"  # in the cache
DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """``tree`` holds the files; ``desk`` the hook's own copies of index and message; ``kept`` the originals."""

    git: Git
    tree: Path
    desk: Path
    kept: Path

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the hook is called with: the message file, for commit-msg."""
        message = self.desk / "COMMIT_EDITMSG"
        return (str(message),) if (self.kept / "message").exists() else ()

    def env(self, seen_at: Path) -> dict[str, str]:
        """What git sets for a hook; ``seen_at`` is where the tree stands for the hook."""
        return {
            "GIT_DIR": str(self.git.places.git_dir),
            "GIT_WORK_TREE": str(seen_at),
            "GIT_INDEX_FILE": str(self.desk / "index"),
            "GIT_EDITOR": ":",
            "GIT_OPTIONAL_LOCKS": "0",
        }

    def script(self, script: Path) -> Path:
        """A hook script that lies in the checkout, as it stands in the copy."""
        repo, common = self.git.places.repo, self.git.places.common_dir
        if script.is_relative_to(repo) and not script.is_relative_to(common):
            return self.tree / script.relative_to(repo)
        return script

    async def changes_hooks(self, script: Path) -> bool:
        """Does what is to be committed change the folder that the hook script lies in?"""
        repo = self.git.places.repo
        if self.script(script) == script:
            return False
        folder = str(script.parent.relative_to(repo))
        done = await self.git.call(
            "--literal-pathspecs", "diff", "--cached", "--quiet", *DIFF, "HEAD", "--", folder,
            index=self.kept / "index", ok=(0, 1),
        )  # fmt: skip
        return done.code == 1

    async def edits(self) -> str:
        """What the hook changed in the files, the index or the message, as a diff; empty when nothing."""
        return await asyncio.to_thread(self._edits)

    def _edits(self) -> str:
        parts = [
            self.git.run("diff", *DIFF, index=self.kept / "index", work_tree=self.tree).out,
            self._index_edits(),
        ]
        if self.arguments:
            message = self.desk / "COMMIT_EDITMSG"
            old, new = (self.kept / "message"), message
            if not new.is_file() or old.read_bytes() != new.read_bytes():
                parts.append(self.git.run("diff", "--no-index", *DIFF, str(old), str(new), ok=(0, 1, 128)).out)
                parts.append(b"the commit message was changed\n")
        return b"".join(parts)[:SHOWN_BYTES].decode("utf-8", errors="replace")

    def _index_edits(self) -> bytes:
        before = self.git.run("write-tree", index=self.kept / "index").text
        try:
            after = self.git.run("write-tree", index=self.desk / "index").text
        except GitFailed as error:
            return f"the index cannot be read any more: {error.stderr}\n".encode()
        if before == after:
            return b""
        return self.git.run("diff-tree", "-p", *DIFF, before, after).out or b"the index was changed\n"


@asynccontextmanager
async def open_arena(git: Git, *, index: Path, message: Path | None) -> AsyncIterator[Arena]:
    """An arena for one run of one hook, removed afterwards."""
    base = git.places.cache / ARENAS / uuid7_hex()
    arena = Arena(git=git, tree=base / "tree", desk=base / "desk", kept=base / "kept")
    try:
        await asyncio.to_thread(_fill, arena, index, message)
        yield arena
    finally:
        await asyncio.to_thread(shutil.rmtree, base, ignore_errors=True)


def _fill(arena: Arena, index: Path, message: Path | None) -> None:
    for folder in (arena.tree, arena.desk, arena.kept):
        folder.mkdir(mode=0o700, parents=True)
    shutil.copyfile(index, arena.kept / "index")
    arena.git.run(
        "-c", "core.splitIndex=false", "checkout-index", "-a", "-f", "-u", "-q",
        index=arena.kept / "index", work_tree=arena.tree,
    )  # fmt: skip
    shutil.copyfile(arena.kept / "index", arena.desk / "index")
    if message is not None:
        shutil.copyfile(message, arena.kept / "message")
        shutil.copyfile(message, arena.desk / "COMMIT_EDITMSG")
