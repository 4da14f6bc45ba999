"""list_symbols and get_callers: definitions in a file, and callers of a name, from the code index."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

from pydantic import Field

from ledger.errors import ToolError
from ledger.ids import sha256_hex
from tools import contained
from tools.builtin.code import Code, is_below
from tools.builtin.paths import RepoPath
from tools.index.facts import IndexedFile
from tools.index.languages import SUFFIXES, language_of
from tools.index.trees import key_of, oid_of
from tools.index.view import View
from tools.manifest import Arguments, Call, Category, Nothing, Tool

if TYPE_CHECKING:
    from tools.builtin.standard import ToolParts


SHOWN_CALLERS = 100
SHOWN_NOTES = 5
SEPARATOR = re.compile(r"[.:#]+")


class ListSymbolsArguments(Arguments):
    """Arguments of list_symbols."""

    path: RepoPath = Field(description="a source file")


class ListSymbols(Tool[ListSymbolsArguments]):
    """Size and hash of the file; then classes and functions with their lines, indented by nesting."""

    name = "list_symbols"
    description = (
        "List the classes and functions of a source file (Python, JavaScript, TypeScript, Go, Rust, C, Java) "
        "with their signatures and line ranges."
    )
    category = Category.COMPREHENSION
    model = ListSymbolsArguments

    def __init__(self, *, code: Code) -> None:
        self._code = code

    @classmethod
    def build(cls, parts: ToolParts) -> Self:
        return cls(code=parts.code)

    def paths(self, arguments: ListSymbolsArguments) -> tuple[str, ...]:
        return (arguments.path,)

    async def run(self, arguments: ListSymbolsArguments, call: Call) -> str:
        path, index = arguments.path, self._code.index
        if language_of(path) is None:
            raise ToolError(
                f"{path} is not in a language that the index reads ({', '.join(SUFFIXES)}).",
                remedy="read_file shows any text file.",
            )
        root = call.context.workspace.root
        size = await asyncio.to_thread(contained.size_of, root, path)
        if size is not None and size > index.largest_bytes:
            raise ToolError(f"{path} is too large for the index ({size} bytes).", remedy="read_file shows its parts.")
        data = await asyncio.to_thread(call.context.workspace.read, path)
        if data is None:
            raise ToolError(f"There is no file {path!r}.")
        key = str(key_of(oid_of(data, like=call.context.workspace.commit), path))
        await index.learn({key: data})
        facts = (await index.facts([key]))[key]
        if facts.error and not facts.symbols:
            raise ToolError(f"{path} does not parse: {facts.error}.")
        rows = [f"{s.line}-{s.end}: {'  ' * s.name.count('.')}{s.signature}" for s in facts.symbols]
        head = [f"{path} · {len(data)} bytes · sha256 {sha256_hex(data)}"]
        head += [f"does not parse ({facts.error}); the rest of the file:"] if facts.error else []
        return "\n".join([*head, *(rows or ["No classes and no functions."])])


class GetCallersArguments(Arguments):
    """Arguments of get_callers."""

    symbol: str = Field(
        pattern=r"^[A-Za-z_$][\w$.:#]*$",
        max_length=200,
        description="function, method or class; only its last name counts",
    )
    path: RepoPath = Field("", description="folder or file to look in; everything when left out")


class GetCallers(Tool[GetCallersArguments]):
    """Definitions of a name, then its call sites. Calls are matched by name alone, not resolved to a definition."""

    name = "get_callers"
    description = "Find where a function, method or class is defined and every place that calls it by name."
    category = Category.CALL_GRAPH
    model = GetCallersArguments

    def __init__(self, *, code: Code) -> None:
        self._code = code

    @classmethod
    def build(cls, parts: ToolParts) -> Self:
        return cls(code=parts.code)

    def paths(self, arguments: GetCallersArguments) -> tuple[str, ...]:
        return (arguments.path,) if arguments.path else ()

    async def run(self, arguments: GetCallersArguments, call: Call) -> str:
        wanted = SEPARATOR.split(arguments.symbol.rstrip(".:#"))[-1]
        view = await self._code.view(call)
        await self._code.know_word(view, call, wanted)
        found = await self._code.index.having(wanted)
        uses = await asyncio.to_thread(_uses_of, wanted, found, arguments, call, view)
        left_out = await self._code.left_out(view, call, arguments.path)
        notes = _notes("read only around a syntax error", uses.broken) + _notes("not searched", left_out)
        if not uses.definitions and not uses.callers:
            raise ToolError("\n".join([f"Nothing defines or calls {arguments.symbol!r}.", *notes]))
        shown = uses.callers[:SHOWN_CALLERS]
        rows = [*(f"defined {row}" for row in uses.definitions), f"{len(uses.callers)} calls", *shown]
        if len(uses.callers) > SHOWN_CALLERS:
            rows.append(f"({len(uses.callers) - SHOWN_CALLERS} more: narrow the path)")
        text = "\n".join([*rows, *notes])
        return text if uses.callers else Nothing(text)  # a definition alone is no evidence: read_file shows it too


class _Uses(NamedTuple):
    """Result rows about one name."""

    definitions: list[str]
    callers: list[str]
    broken: list[str]  # files that were read only around a syntax error


def _uses_of(
    name: str, found: Mapping[str, IndexedFile], arguments: GetCallersArguments, call: Call, view: View
) -> _Uses:
    """Where ``name`` is defined and called, in visible files. Blocks for status calls."""
    uses = _Uses([], [], [])
    for path, key in sorted(view.files.items()):
        facts = found.get(key)
        if facts is None or not is_below(path, arguments.path) or not call.visible(path):
            continue
        uses.broken.extend([f"{path} ({facts.error})"] if facts.error else [])
        same = (s for s in facts.symbols if s.name.rpartition(".")[2] == name)
        uses.definitions.extend(f"{path}:{s.line}-{s.end}: {s.kind} {s.name}" for s in same)
        calls = (c for c in facts.calls if c.callee == name)
        uses.callers.extend(f"{path}:{c.line}: in {c.caller or '(module)'}" for c in calls)
    return uses


def _notes(what: str, rows: list[str]) -> list[str]:
    more = [f"{what}: {len(rows) - SHOWN_NOTES} more files"] if len(rows) > SHOWN_NOTES else []
    return [f"{what}: {row}" for row in rows[:SHOWN_NOTES]] + more
