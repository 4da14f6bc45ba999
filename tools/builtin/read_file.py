"""read_file: numbered lines of a file, and the hash that edits are checked against."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from pydantic import Field

from ledger.errors import ToolError
from ledger.ids import sha256_hex
from tools import contained
from tools.builtin.paths import RepoPath
from tools.edits.text import FileText, decode
from tools.manifest import Arguments, Call, Category, Tool
from tools.output import number_lines
from tools.workspace import Workspace

if TYPE_CHECKING:
    from tools.builtin.standard import ToolParts


LONGEST_LINE = 400
LARGEST = 32 * 1024 * 1024


class ReadFileArguments(Arguments):
    """Arguments of read_file."""

    path: RepoPath = Field(description="file, relative to the top of the repository")
    start_line: int = Field(1, ge=1, description="first line to show")
    end_line: int | None = Field(None, ge=1, description="last line to show; the end of the file when left out")


class ReadFile(Tool[ReadFileArguments]):
    """As many whole lines as fit, and the line at which the rest begins."""

    name = "read_file"
    description = (
        "Read a text file: numbered lines, its size and sha256. Long files come in parts; of a binary one only size "
        "and sha256."
    )
    category = Category.COMPREHENSION
    model = ReadFileArguments

    def __init__(self, *, result_bytes: int) -> None:
        self._room = result_bytes

    @classmethod
    def build(cls, parts: ToolParts) -> Self:
        return cls(result_bytes=parts.tools.result_bytes)

    def paths(self, arguments: ReadFileArguments) -> tuple[str, ...]:
        return (arguments.path,)

    async def run(self, arguments: ReadFileArguments, call: Call) -> str:
        data, sha, text = await asyncio.to_thread(_load, call.context.workspace, arguments.path)
        call.context.note_read(arguments.path, sha)
        if text is None:
            return f"{arguments.path} · {len(data)} bytes · sha256 {sha}\nIt is binary and not shown."
        bodies = text.bodies
        last = min(arguments.end_line or len(bodies), len(bodies))
        if bodies and arguments.start_line > len(bodies):
            raise ToolError(f"{arguments.path} has {len(bodies)} lines; line {arguments.start_line} is past its end.")
        wanted = [_short(body) for body in bodies[arguments.start_line - 1 : last]]
        shown = self._fitting(number_lines(wanted, arguments.start_line))
        return "\n".join([_head(arguments, sha, len(data), len(bodies), len(shown), last), *shown])

    def _fitting(self, lines: list[str]) -> list[str]:
        """The first lines that fit below the heading."""
        room = self._room - 400
        shown: list[str] = []
        for line in lines:
            room -= len(line.encode("utf-8", errors="replace")) + 1
            if room < 0:
                break
            shown.append(line)
        return shown


def _load(workspace: Workspace, path: str) -> tuple[bytes, str, FileText | None]:
    """Bytes, sha256 and text (None: binary) of a file. Raises ``ToolError`` when it is missing or too large."""
    size = contained.size_of(workspace.root, path) or 0
    if size > LARGEST:
        raise ToolError(f"{path} has {size} bytes; up to {LARGEST} are read.", remedy="search_code finds lines in it.")
    data = workspace.read(path)
    if data is None:
        raise ToolError(f"There is no file {path!r}.", remedy="search_code or list_dir show what there is.")
    return data, sha256_hex(data), decode(data, path)


def _short(body: str) -> str:
    return body if len(body) <= LONGEST_LINE else f"{body[:LONGEST_LINE]} [... {len(body) - LONGEST_LINE} characters]"


def _head(arguments: ReadFileArguments, sha: str, size: int, total: int, shown: int, last: int) -> str:
    end = arguments.start_line + shown - 1
    lines = f"lines {arguments.start_line}-{end} of {total}" if shown else f"{total} lines"
    rest = f"; the rest: read_file with start_line={end + 1}" if end < last else ""
    return f"{arguments.path} · {size} bytes · sha256 {sha}\n{lines}{rest}"
