"""list_symbols and get_callers: what a Python file defines, and who calls it."""

from __future__ import annotations

import asyncio

from pydantic import Field

from ledger.errors import ToolError
from tools.builtin.index import CodeIndex
from tools.builtin.paths import RepoPath, walk
from tools.manifest import Arguments, Call, Category, Tool

SHOWN_CALLERS = 100


class ListSymbolsArguments(Arguments):
    """Arguments of list_symbols."""

    path: RepoPath = Field(description="a Python file")


class ListSymbols(Tool[ListSymbolsArguments]):
    """Classes and functions with their lines, indented by nesting."""

    name = "list_symbols"
    description = "List the classes and functions of a Python file with their signatures and line ranges."
    category = Category.COMPREHENSION
    model = ListSymbolsArguments

    def __init__(self, *, index: CodeIndex) -> None:
        self._index = index

    def paths(self, arguments: ListSymbolsArguments) -> tuple[str, ...]:
        return (arguments.path,)

    async def run(self, arguments: ListSymbolsArguments, call: Call) -> str:
        if not arguments.path.endswith((".py", ".pyi")):
            raise ToolError(f"{arguments.path} is not a Python file.", remedy="read_file shows any text file.")
        data = await asyncio.to_thread(call.context.workspace.read, arguments.path)
        if data is None:
            raise ToolError(f"There is no file {arguments.path!r}.")
        facts = await asyncio.to_thread(self._index.facts, data)
        if facts.error:
            raise ToolError(f"{arguments.path} does not parse: {facts.error}.")
        rows = [f"{s.line}-{s.end}: {'  ' * s.name.count('.')}{s.kind} {s.signature}" for s in facts.symbols]
        return "\n".join(rows) or "No classes and no functions."


class GetCallersArguments(Arguments):
    """Arguments of get_callers."""

    symbol: str = Field(
        pattern=r"^[A-Za-z_][\w.]*$", max_length=200, description="function, method or class; only its last name counts"
    )
    path: RepoPath = Field("", description="folder or file to look in; everything when left out")


class GetCallers(Tool[GetCallersArguments]):
    """Call sites by name. Names are not resolved to definitions: the definitions are listed first."""

    name = "get_callers"
    description = "Find where a Python function, method or class is defined and every place that calls it by name."
    category = Category.CALL_GRAPH
    model = GetCallersArguments

    def __init__(self, *, index: CodeIndex) -> None:
        self._index = index

    def paths(self, arguments: GetCallersArguments) -> tuple[str, ...]:
        return (arguments.path,) if arguments.path else ()

    async def run(self, arguments: GetCallersArguments, call: Call) -> str:
        definitions, callers, broken = await asyncio.to_thread(self._look, arguments, call)
        if not definitions and not callers:
            raise ToolError(f"Nothing defines or calls {arguments.symbol!r}.")
        rows = [*(f"defined {row}" for row in definitions), f"{len(callers)} calls", *callers[:SHOWN_CALLERS]]
        if len(callers) > SHOWN_CALLERS:
            rows.append(f"({len(callers) - SHOWN_CALLERS} more: narrow the path)")
        rows += [f"not searched, does not parse: {path}" for path in broken]
        return "\n".join(rows)

    def _look(self, arguments: GetCallersArguments, call: Call) -> tuple[list[str], list[str], list[str]]:
        wanted = arguments.symbol.rsplit(".", 1)[-1]
        definitions: list[str] = []
        callers: list[str] = []
        broken: list[str] = []
        for path in walk(call.context.workspace.root):
            inside = not arguments.path or path == arguments.path or path.startswith(arguments.path + "/")
            if not inside or not path.endswith(".py") or not call.visible(path):
                continue
            data = call.context.workspace.read(path)
            if data is None or wanted.encode() not in data:
                continue
            facts = self._index.facts(data)
            if facts.error:
                broken.append(path)
            definitions += [
                f"{path}:{s.line}-{s.end}: {s.kind} {s.name}"
                for s in facts.symbols
                if s.name.rsplit(".", 1)[-1] == wanted
            ]
            callers += [f"{path}:{c.line}: in {c.caller or '(module)'}" for c in facts.calls if c.callee == wanted]
        return definitions, callers, broken
