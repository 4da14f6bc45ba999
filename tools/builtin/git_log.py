"""git_log: recent commits of the op's base, of one file where a path is given."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from pydantic import Field

from ledger.clock import stamp
from ledger.errors import GitFailed, ToolError
from tools.builtin.paths import RepoPath
from tools.manifest import Arguments, Call, Category, Nothing, Tool

SHOWN_FILES = 8
FORM = "%x00%H%n%ct%n%an%n%s"
"""After an empty field: hash, time of commit (git stores any number), author, subject. The names of files follow."""
BOUNDED = {"GIT_ALLOC_LIMIT": "256m"}
"""Limit of git's memory: git reads a commit object whole, and a packed megabyte can expand to gigabytes."""


class GitLogArguments(Arguments):
    """Arguments of git_log."""

    path: RepoPath = Field("", description="file or folder; the whole repository when left out")
    limit: int = Field(10, ge=1, le=50, description="how many commits")


class GitLog(Tool[GitLogArguments]):
    """Hash, date, author, subject and the files of each commit, newest first."""

    name = "git_log"
    description = "Recent commits (hash, date, author, subject, files), newest first, of everything or of one path."
    category = Category.HISTORY
    model = GitLogArguments

    def paths(self, arguments: GitLogArguments) -> tuple[str, ...]:
        return (arguments.path,) if arguments.path else ()

    async def run(self, arguments: GitLogArguments, call: Call) -> str:
        git, path = call.context.git, arguments.path
        shown = (
            "-z",
            f"--format={FORM}",
            "--name-only",
            "--no-renames",
            "--diff-merges=first-parent",
            "--encoding=UTF-8",
        )
        chosen = (f"--max-count={arguments.limit}", call.context.workspace.commit, "--", *([path] if path else []))
        try:
            ids = (await git.call("rev-list", *chosen, extra_env=BOUNDED)).text.split()
            if not ids:
                return Nothing(f"No commit touched {path or 'anything'}.")
            done = await git.call(
                *("log", *shown, "--diff-merges=first-parent", "--no-walk=unsorted", *ids, "--"), extra_env=BOUNDED
            )
        except GitFailed as error:
            raise ToolError(f"The history cannot be read: {error.message}") from error
        return "\n".join(await asyncio.to_thread(lambda: list(read_log(done.out, call.visible))))


def read_log(out: bytes, visible: Callable[[str], bool]) -> Iterator[str]:
    """Two rows for each commit of ``git log -z`` in :data:`FORM`: the second names its visible files."""
    commits: list[tuple[bytes, list[str]]] = []
    begins = False
    for field in out.split(b"\0"):
        if begins and field:
            commits.append((field, []))
        elif field:
            commits[-1][1].append(os.fsdecode(field if commits[-1][1] else field.removeprefix(b"\n")))
        begins = not field
    for head, names in commits:
        commit, seconds, author, subject = head.decode("utf-8", errors="replace").split("\n", 3)
        files = sorted(filter(visible, names))
        more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
        yield f"{commit[:12]} {_date(seconds)} {author}: {subject}"
        yield f"    {', '.join(files[:SHOWN_FILES])}{more}"


def _date(seconds: str) -> str:
    try:
        return stamp(datetime.fromtimestamp(int(seconds), UTC))
    except (ValueError, OverflowError, OSError):
        return "(no valid date)"
