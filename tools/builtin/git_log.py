"""git_log: recent commits up to the op's base, of the whole repository or one path."""

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

    path: RepoPath = Field("", description="file or folder; default: the whole repository")
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
        rows = await asyncio.to_thread(_log_rows, git, commit, arguments, call.visible)
        return "\n".join(rows) or Nothing(f"No commit touched {arguments.path or 'anything'}.")


def _log_rows(git: Git, commit: str, arguments: GitLogArguments, visible: Callable[[str], bool]) -> list[str]:
    """Rows of the log. Blocking. The repository is closed again, since an open one keeps git processes alive."""
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
    """The commit's time in UTC, if it is valid: git stores any number."""
    try:
        return stamp(commit.committed_datetime.astimezone(UTC))
    except (ValueError, OverflowError, OSError):
        return "(no valid date)"
