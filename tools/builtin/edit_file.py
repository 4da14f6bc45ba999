"""edit_file: replace lines of a file in the op's workspace, or create a file there. Never the owner's checkout."""

from __future__ import annotations

import asyncio

from pydantic import Field

from ledger.errors import ToolError
from ledger.ids import sha256_hex
from ledger.vocabulary import Edit, EditKind
from tools.builtin.paths import RepoPath, mode_of
from tools.edits import EditProblems, ParsedEdits, Replacement, Split, resolve
from tools.edits.text import decode
from tools.manifest import Arguments, Call, Tool
from tools.output import numbered

SHOWN_AROUND = 3


class EditFileArguments(Arguments):
    """Arguments of edit_file."""

    path: RepoPath = Field(min_length=1, description="file, relative to the top of the repository")
    search: str = Field("", description="whole lines as they stand in the file, exactly once; empty creates the file")
    replace: str = Field(description="the lines that stand there afterwards")


class EditFile(Tool[EditFileArguments]):
    """One search and replace. The file must have been read before."""

    name = "edit_file"
    description = "Replace lines of a file that you have read, or create a file (empty `search`)."
    writes = True
    model = EditFileArguments

    def paths(self, arguments: EditFileArguments) -> tuple[str, ...]:
        return (arguments.path,)

    async def run(self, arguments: EditFileArguments, call: Call) -> str:
        context = call.context
        edit = await asyncio.to_thread(_resolved, arguments, call)
        known = arguments.path in context.reads or arguments.path in context.written
        if edit.kind is not EditKind.CREATE and not known:
            raise ToolError(f"{arguments.path} has not been read yet.", remedy="Call read_file on it first.")
        await context.workspace.apply([edit])
        context.written.add(arguments.path)
        return _report(arguments, edit)


def _resolved(arguments: EditFileArguments, call: Call) -> Edit:
    workspace = call.context.workspace
    split = Split(search=_lines(arguments.search), replace=_lines(arguments.replace))
    parsed = ParsedEdits(parts=(Replacement(path=arguments.path, readings=(split,)),))
    mode = mode_of(workspace.root, arguments.path)
    resolved = resolve(parsed, workspace.read, modes={} if mode is None else {arguments.path: mode})
    if isinstance(resolved, EditProblems):
        raise ToolError(resolved.text)
    return resolved[0]


def _lines(text: str) -> tuple[str, ...]:
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    return tuple(lines) if text else ()


def _report(arguments: EditFileArguments, edit: Edit) -> str:
    after = edit.after or b""
    text = decode(after, edit.path)
    bodies = list(text.bodies) if text else []
    size = len(_lines(arguments.replace))
    starts = [i for i in range(len(bodies)) if tuple(b.strip() for b in bodies[i : i + size]) == _stripped(arguments)]
    at = starts[0] if starts else 0
    first = max(0, at - SHOWN_AROUND)
    shown = numbered(bodies[first : at + size + SHOWN_AROUND], first + 1)
    head = f"{edit.kind.value} {edit.path} · {len(after)} bytes · sha256 {sha256_hex(after)}"
    return "\n".join([head, *shown])


def _stripped(arguments: EditFileArguments) -> tuple[str, ...]:
    return tuple(line.strip() for line in _lines(arguments.replace))
