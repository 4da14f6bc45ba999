"""search_code: text search with ripgrep where it is installed, else a plain search in a thread."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field

from ledger.errors import ToolError
from tools import contained
from tools.builtin.paths import RepoPath, walk
from tools.manifest import Arguments, Call, Category, Nothing, Tool
from tools.process import Command, run

if TYPE_CHECKING:
    from tools.builtin.standard import ToolParts


LARGEST_FILE = 1024 * 1024
LONGEST_LINE = 240
GLOB_SPECIAL = re.compile(r"([\\*?\[\]{}!])")
REGEX_SPECIAL = re.compile(r"[\\.^$*+?{}\[\]()]")


class SearchCodeArguments(Arguments):
    """Arguments of search_code."""

    pattern: str = Field(min_length=1, max_length=500, description="text to look for")
    path: RepoPath = Field("", description="file or folder to search; everything when left out")
    regex: bool = Field(False, description="the pattern is a regular expression")
    ignore_case: bool = Field(False, description="upper and lower case are the same")
    max_results: int = Field(50, ge=1, le=200, description="how many lines to show")


class SearchCode(Tool[SearchCodeArguments]):
    """Lines as ``path:line: text``."""

    name = "search_code"
    description = "Search the repository's text files; gives path, line number and line."
    category = Category.DISCOVERY
    model = SearchCodeArguments

    def __init__(self, *, ripgrep: str | None, timeout_s: float) -> None:
        self._ripgrep = ripgrep
        self._timeout_s = timeout_s

    @classmethod
    def build(cls, parts: ToolParts) -> Self:
        return cls(ripgrep=parts.find_program("rg"), timeout_s=parts.settings.search_timeout_s)

    def paths(self, arguments: SearchCodeArguments) -> tuple[str, ...]:
        return (arguments.path,) if arguments.path else ()

    async def run(self, arguments: SearchCodeArguments, call: Call) -> str:
        root = call.context.workspace.root
        if self._ripgrep is not None:
            hits, more = await self._with_ripgrep(self._ripgrep, arguments, root, call)
        else:
            hits, more = await asyncio.to_thread(_plainly, arguments, root, call)
        if not hits:
            return Nothing(f"Nothing found for {arguments.pattern!r}.")
        note = f"{len(hits)} lines{' (there are more: narrow the pattern or the path)' if more else ''}"
        return "\n".join([note, *hits])

    async def _with_ripgrep(
        self, program: str, arguments: SearchCodeArguments, root: Path, call: Call
    ) -> tuple[list[str], bool]:
        argv = [
            program,
            "--no-config",
            "--no-messages",
            "--no-ignore",
            "--hidden",
            "--null",
            "--line-number",
            "--no-heading",
            "--with-filename",
            "--color=never",
            "--sort=path",
            f"--max-filesize={LARGEST_FILE}",
            f"--max-columns={LONGEST_LINE}",
            "--max-columns-preview",
            "--glob=!.git",
        ]
        if arguments.path:
            # By pattern, not as an argument: ripgrep would follow a link that is named on its command line.
            quoted = GLOB_SPECIAL.sub(r"\\\1", arguments.path)
            argv += [f"--glob=/{quoted}", f"--glob=/{quoted}/**"]
        argv += [] if arguments.regex else ["--fixed-strings"]
        argv += ["--ignore-case"] if arguments.ignore_case else []
        argv += ["-e", arguments.pattern, "./"]
        done = await run(Command(argv=tuple(argv), cwd=root, env={"LC_ALL": "C.UTF-8"}, timeout_s=self._timeout_s))
        if done.code not in (0, 1) or done.timed_out:
            text = done.output.decode("utf-8", errors="replace").strip()
            raise ToolError(f"The search failed: {text[:300] or 'it took too long'}.")
        hits, more = await asyncio.to_thread(_hits, done.output, arguments.max_results, call)
        return hits, more or done.cut_bytes > 0


def _hits(output: bytes, most: int, call: Call) -> tuple[list[str], bool]:
    """Lines of ripgrep's output in the form of results, of visible files only. Blocks for status calls."""
    hits: list[str] = []
    torn = False  # the line before had no NUL: a file name with a newline continues on this one
    for line in output.decode("utf-8", errors="replace").split("\n"):
        path, nul, rest = line.partition("\0")
        whole, torn = bool(nul) and not torn, not nul
        path = path.removeprefix("./")
        if not whole or not call.visible(path):
            continue
        number, _, text = rest.partition(":")
        hits.append(f"{path}:{number}: {text}")
        if len(hits) > most:
            return hits[:-1], True
    return hits, False


def _plainly(arguments: SearchCodeArguments, root: Path, call: Call) -> tuple[list[str], bool]:
    """Search without ripgrep, for plain words only: Python's regular expressions may take exponential time."""
    words = arguments.pattern.split("|") if arguments.regex else [arguments.pattern]
    if arguments.regex and any(REGEX_SPECIAL.search(word) for word in words):
        raise ToolError(
            "Regular expressions need ripgrep, which is not installed.", remedy="Give plain text, or `a|b`."
        )
    needles = [word.casefold() if arguments.ignore_case else word for word in words if word]
    hits: list[str] = []
    for path in sorted(walk(root)):
        if arguments.path and path != arguments.path and not path.startswith(arguments.path + "/"):
            continue
        if (contained.size_of(root, path) or 0) > LARGEST_FILE or not call.visible(path):
            continue
        data = call.context.workspace.read(path)
        if data is None or b"\0" in data[:8192]:
            continue
        for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), 1):
            text = line.casefold() if arguments.ignore_case else line
            if any(needle in text for needle in needles):
                hits.append(f"{path}:{number}: {line[:LONGEST_LINE]}")
                if len(hits) > arguments.max_results:
                    return hits[:-1], True
    return hits, False
