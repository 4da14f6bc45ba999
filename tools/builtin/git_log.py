"""git_log: recent commits of the op's base, of one file where a path is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC
from typing import TYPE_CHECKING

from pydantic import Field

from ledger.clock import stamp
from ledger.errors import ToolError
from tools.builtin.paths import RepoPath
from tools.git import Git
from tools.manifest import Arguments, Call, Category, Nothing, Tool

if TYPE_CHECKING:
    from git import Commit

SHOWN_FILES = 8


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
        git, commit = call.context.git, call.context.workspace.commit
        rows = await asyncio.to_thread(_walk, git, commit, arguments, call.visible)
        return "\n".join(rows) or Nothing(f"No commit touched {arguments.path or 'anything'}.")


def _walk(git: Git, commit: str, arguments: GitLogArguments, visible: Callable[[str], bool]) -> list[str]:
    """Rows of the log; blocks. Opens and closes the repository: GitPython keeps child processes while it is open."""
    rows = []
    with git.opened() as opened:
        from git.exc import GitError  # only now: `opened` imports GitPython safely

        try:
            for found in opened.iter_commits(commit, paths=arguments.path, max_count=arguments.limit):
                rows.append(f"{found.hexsha[:12]} {_date_of(found)} {found.author.name}: {found.summary!s}")
                files = sorted(name for name in map(str, found.stats.files) if visible(name))
                more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
                rows.append(f"    {', '.join(files[:SHOWN_FILES])}{more}")
        except (GitError, ValueError) as error:
            raise ToolError(f"The history cannot be read: {str(error).splitlines()[0]}.") from error
    return rows


def _date_of(commit: Commit) -> str:
    """The commit's time in UTC; git stores any number, even one beyond the calendar."""
    try:
        return stamp(commit.committed_datetime.astimezone(UTC))
    except (ValueError, OverflowError, OSError):
        return "(no valid date)"
