"""Writing by the edit tools: an edit is resolved against the current file, applied to the op's workspace and reported.
The owner's checkout is never written."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterator

from ledger.errors import ToolError
from ledger.ids import sha256_hex
from ledger.vocabulary import Edit, EditKind
from tools import contained
from tools.edits import EditProblems, ParsedEdits, make_edit, resolve
from tools.edits.text import decode
from tools.manifest import Call
from tools.output import number_lines
from tools.workspace import Workspace

SHOWN_AROUND = 3
SHOWN_PLACES = 8
MOST_LINES = 20_000  # of a longer file the changed places are not shown


async def write(call: Call, path: str, parsed: ParsedEdits) -> str:
    """Apply the edits of ``path``; returns a report. Raises ``ToolError`` if they do not fit, or it was not read."""
    workspace = call.context.workspace
    before, edit = await asyncio.to_thread(_resolve, workspace, path, parsed)
    return await _apply(call, before, edit)


async def remove(call: Call, path: str) -> str:
    """Delete a file; returns a report. Raises ``ToolError`` if there is none, or it was not read before."""
    workspace = call.context.workspace
    before = await asyncio.to_thread(workspace.read, path)
    edit = make_edit(path, before, None)
    if edit is None:
        raise ToolError(f"There is no file {path!r}.", remedy="list_dir shows what there is.")
    return await _apply(call, before, edit)


def _resolve(workspace: Workspace, path: str, parsed: ParsedEdits) -> tuple[bytes | None, Edit]:
    mode = contained.mode_of(workspace.root, path)
    resolved = resolve(parsed, workspace.read, modes={} if mode is None else {path: mode})
    if isinstance(resolved, EditProblems):
        raise ToolError(resolved.text)
    if len(resolved) != 1 or resolved[0].path != path:
        raise ToolError(f"The edit speaks of more than {path}.", remedy="Make one call for each file.")
    return workspace.read(path), resolved[0]


async def _apply(call: Call, before: bytes | None, edit: Edit) -> str:
    context = call.context
    known = edit.path in context.reads or edit.path in context.written
    if edit.kind is not EditKind.CREATE and not known:
        raise ToolError(f"{edit.path} has not been read yet.", remedy="Call read_file on it first.")
    await context.workspace.apply([edit])
    context.written.add(edit.path)
    return "\n".join(await asyncio.to_thread(list, _report(before, edit)))


def _report(before: bytes | None, edit: Edit) -> Iterator[str]:
    """Report of an applied edit: size, hash, and the changed places with the lines around them."""
    if edit.after is None:
        gone = before or b""
        yield f"{edit.kind.value} {edit.path} · {len(gone)} bytes are gone · sha256 was {sha256_hex(gone)}"
        return
    yield f"{edit.kind.value} {edit.path} · {len(edit.after)} bytes · sha256 {sha256_hex(edit.after)}"
    new, old = decode(edit.after, edit.path), decode(before or b"", edit.path)
    if new is None or old is None or max(len(new.lines), len(old.lines)) > MOST_LINES:
        return
    groups = list(_places(list(old.bodies), list(new.bodies)))
    for first, last in groups[:SHOWN_PLACES]:
        yield from number_lines(list(new.bodies[first:last]), first + 1)
        yield "..."
    if len(groups) > SHOWN_PLACES:
        yield f"and {len(groups) - SHOWN_PLACES} more places"


def _places(old: list[str], new: list[str]) -> Iterator[tuple[int, int]]:
    """Ranges of the new lines (start, end) around each change."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > 4_000)
    for group in matcher.get_grouped_opcodes(SHOWN_AROUND):
        yield group[0][3], group[-1][4]
