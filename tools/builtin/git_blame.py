"""git_blame: the author and commit that last changed each line of a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from pydantic import Field

from ledger.errors import ToolError
from tools.builtin.paths import RepoPath
from tools.manifest import Arguments, Call, Category, Tool
from tools.output import number_lines

if TYPE_CHECKING:
    from tools.builtin.standard import ToolParts


MOST_LINES = 200
LONGEST_LINE = 200


class GitBlameArguments(Arguments):
    """Arguments of git_blame."""

    path: RepoPath = Field(min_length=1, description="file, relative to the top of the repository")
    start_line: int = Field(1, ge=1, description="first line")
    end_line: int | None = Field(None, ge=1, description=f"last line; {MOST_LINES} lines at most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blamed:
    """One line and the commit that last changed it."""

    commit: str
    author: str
    day: str
    subject: str
    line: int
    text: str


class GitBlame(Tool[GitBlameArguments]):
    """Lines of the file in the op's base, grouped by runs of one commit: id, date, author, subject."""

    name = "git_blame"
    description = "Show for a range of lines which commit (id, date, author, subject) changed each of them last."
    category = Category.HISTORY
    model = GitBlameArguments

    def __init__(self, *, result_bytes: int) -> None:
        self._room = result_bytes - 200

    @classmethod
    def build(cls, parts: ToolParts) -> Self:
        return cls(result_bytes=parts.tools.result_bytes)

    def paths(self, arguments: GitBlameArguments) -> tuple[str, ...]:
        return (arguments.path,)

    async def run(self, arguments: GitBlameArguments, call: Call) -> str:
        git, base, path = call.context.git, call.context.workspace.commit, arguments.path
        held = await git.call("ls-tree", "-z", "--full-tree", base, "--", path)
        row = next((row for row in held.fields if row.startswith("100") and row.partition("\t")[2] == path), None)
        if row is None:
            raise ToolError(f"There is no file {path!r} in {base[:12]}.", remedy="Only committed files have a history.")
        first, most = arguments.start_line, arguments.start_line + MOST_LINES - 1
        last = max(first, min(arguments.end_line or most, most))
        blame = ("-c", "blame.ignoreRevsFile=", "blame", "--line-porcelain", "--no-textconv", "-L", f"{first},{last}")
        done = await git.call(*blame, base, "--", path, ok=(0, 128))
        if done.code != 0:
            reason = done.err.strip().splitlines()[-1:] or ["git gives no reason"]
            raise ToolError(f"No blame for {path}: {reason[0].removeprefix('fatal: ')}.")
        oid = row.split(" ")[2].partition("\t")[0]
        changed = "; your changes are not in it" if path in call.context.written else ""
        return self._fitted(f"{path} in {base[:12]} · blob {oid}{changed}", list(parse_blame(done.out)))

    def _fitted(self, head: str, lines: list[Blamed]) -> str:
        """Runs of lines of one commit, each under a heading, as many lines as fit."""
        rows, room, before = [head], self._room - len(head.encode()), ""
        width = lines[-1].line if lines else 0
        for at, line in enumerate(lines):
            title = f"{line.commit[:12]} {line.day} {line.author}: {line.subject}"
            new = ([title] if line.commit != before else []) + number_lines([line.text], line.line)
            room -= sum(len(row.encode("utf-8", errors="replace")) + 1 for row in new)
            if room < 0:
                return "\n".join([*rows, f"the rest (to line {width}): git_blame with start_line={lines[at].line}"])
            rows += new
            before = line.commit
        return "\n".join(rows)


def parse_blame(porcelain: bytes) -> Iterator[Blamed]:
    """Parse the output of ``git blame --line-porcelain``. Pure."""
    fields: dict[str, str] = {}
    head: list[str] = []
    for row in porcelain.decode("utf-8", errors="replace").split("\n"):
        if not head:
            head = row.split(" ")
        elif not row.startswith("\t"):
            name, _, value = row.partition(" ")
            fields[name] = value
        else:
            yield Blamed(
                commit=head[0],
                author=fields.get("author", "")[:80],
                subject=fields.get("summary", "")[:120],
                day=_day(fields),
                line=int(head[2]),
                text=row[1 : LONGEST_LINE + 1].rstrip("\r"),
            )
            head, fields = [], {}


def _day(fields: dict[str, str]) -> str:
    """The author's date in UTC. An invalid date of a commit object is shown unchanged."""
    try:
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(fields.get("author-time", "")))
    except (ValueError, OverflowError):
        return fields.get("author-time", "?")[:20]
    return f"{when:%Y-%m-%d}"
