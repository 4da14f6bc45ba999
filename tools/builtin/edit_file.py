"""edit_file: change a part of a file in the op's workspace, or create a file there."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ledger.errors import ToolError
from tools.builtin.paths import RepoPath
from tools.builtin.writing import write
from tools.edits import FileDiff, ParsedEdits, Replacement, Split, parse_edits
from tools.manifest import Arguments, Call, Tool


class EditFileArguments(Arguments):
    """Arguments of edit_file: ``search`` and ``replace``, or a ``patch``."""

    path: RepoPath = Field(min_length=1, description="file, relative to the top of the repository")
    search: str = Field("", description="whole lines that occur exactly once in the file; empty creates the file")
    replace: str | None = Field(None, description="the lines that replace them")
    patch: str = Field(
        "",
        description="instead: a unified diff of this one file; line numbers are hints only",
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if bool(self.patch) == (self.replace is not None) or (self.patch and self.search):
            raise ValueError("give either `search` and `replace`, or `patch`")
        return self


class EditFile(Tool[EditFileArguments]):
    """One search and replace, or one patch. The file must have been read before."""

    name = "edit_file"
    description = "Replace lines of a file that you have read, or create a file (empty `search`); or apply a `patch`."
    writes = True
    model = EditFileArguments

    def paths(self, arguments: EditFileArguments) -> tuple[str, ...]:
        return (arguments.path,)

    async def run(self, arguments: EditFileArguments, call: Call) -> str:
        parsed = _patch(arguments) if arguments.patch else _replacement(arguments)
        return await write(call, arguments.path, parsed)


def _replacement(arguments: EditFileArguments) -> ParsedEdits:
    split = Split(search=split_lines(arguments.search), replace=split_lines(arguments.replace or ""))
    return ParsedEdits(parts=(Replacement(path=arguments.path, readings=(split,)),))


def _patch(arguments: EditFileArguments) -> ParsedEdits:
    """Parse the patch, adding a missing file header. Raises ``ToolError`` unless it is a diff of ``path`` alone."""
    path, text = arguments.path, arguments.patch
    if text.lstrip("\n").startswith("@@"):
        text = f"--- a/{path}\n+++ b/{path}\n" + text.lstrip("\n")
    parsed = parse_edits(text)
    others = [part.path for part in parsed.parts if not _names_only(part, path)]
    if others or (not parsed.parts and not parsed.problems):
        problem = f"names {others[0]!r}" if others else "is no diff"
        raise ToolError(f"The patch {problem}; it must be a unified diff of {path!r} alone.")
    return parsed


def _names_only(part: object, path: str) -> bool:
    """Whether a part is a diff with ``path`` as old and new name: the policy has checked no other path."""
    return isinstance(part, FileDiff) and {part.old, part.new} <= {path, None}


def split_lines(text: str) -> tuple[str, ...]:
    """The lines of an argument, without line endings (LF or CRLF)."""
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    return tuple(lines) if text else ()
