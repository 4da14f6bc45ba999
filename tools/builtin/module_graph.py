"""module_graph: what a Python module imports and which modules import it, directly and transitively."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from pydantic import Field

from ledger.errors import ToolError
from tools.builtin.code import Code
from tools.builtin.paths import RepoPath
from tools.index.facts import Import
from tools.index.languages import PYTHON
from tools.index.modules import Graph, Modules, graph, reverse_graph, rings
from tools.index.view import View
from tools.manifest import Arguments, Call, Category, Tool

if TYPE_CHECKING:
    from tools.builtin.standard import ToolParts


SHOWN = 40  # maximum files per step
SHOWN_OUTSIDE = 30


class ModuleGraphArguments(Arguments):
    """Arguments of module_graph."""

    path: RepoPath = Field(min_length=1, description="a Python file, or a module as it is imported (`shop.cart`)")
    depth: int = Field(1, ge=1, le=4, description="how many steps to go: 1 shows direct imports and importers")


class ModuleGraph(Tool[ModuleGraphArguments]):
    """Both directions, each file with the line of the import that leads to it."""

    name = "module_graph"
    description = "Show what a Python module imports and which files import it, direct and through others (`depth`)."
    category = Category.STRUCTURE
    model = ModuleGraphArguments

    def __init__(self, *, code: Code) -> None:
        self._code = code

    @classmethod
    def build(cls, parts: ToolParts) -> Self:
        return cls(code=parts.code)

    def paths(self, arguments: ModuleGraphArguments) -> tuple[str, ...]:
        return (arguments.path,)

    async def run(self, arguments: ModuleGraphArguments, call: Call) -> str:
        view = await self._code.view(call)
        await self._code.know_python(view, call)
        imports = await self._code.index.imports(frozenset(view.files.values()))
        return await asyncio.to_thread(_answer, arguments, call, view, imports)


def _answer(arguments: ModuleGraphArguments, call: Call, view: View, imports: Mapping[str, Sequence[Import]]) -> str:
    files = {path: imports.get(key, ()) for path, key in view.files.items() if key.endswith(f".{PYTHON}")}
    modules = Modules(files)
    path = _find_file(arguments.path, modules, files, call.visible)
    edges = graph(modules, files)
    rows = [f"{path} · imported as {modules.name_of(path) or '(nothing)'} · {len(files)} Python files looked at"]
    rows += _neighbours("imports", edges, path, arguments.depth, call.visible)
    rows += _imports_from_outside(modules, path, files[path])
    rows += _neighbours("imported by", reverse_graph(edges), path, arguments.depth, call.visible)
    return "\n".join(rows)


def _find_file(wanted: str, modules: Modules, files: Mapping[str, object], visible: Callable[[str], bool]) -> str:
    fitting = [wanted] if wanted in files else list(modules.files_of(wanted.replace("/", ".")))
    fitting = [path for path in fitting if visible(path)]  # so far the policy has judged the argument only
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ToolError(f"{wanted!r} may be {', '.join(fitting)}.", remedy="Name the file.")
    raise ToolError(f"There is no Python file {wanted!r}.", remedy="glob_files finds files by name.")


def _neighbours(word: str, edges: Graph, path: str, depth: int, visible: Callable[[str], bool]) -> Iterator[str]:
    """Lines with the files at each step from ``path``. ``word``: the direction, "imports" or "imported by"."""
    for step, ring in enumerate(rings(edges, path, depth, shown=visible), start=1):
        through = f" at step {step}" if step > 1 else ""
        if step == 1 or ring:
            yield f"{word}{through}: {len(ring)} files"
        for target, source, line in ring[:SHOWN]:
            yield f"  {target}{_place(word, source, line, step)}"
        if len(ring) > SHOWN:
            yield f"  and {len(ring) - SHOWN} more"


def _place(word: str, source: str, line: int, step: int) -> str:
    if word == "imported by":
        return f":{line}" + (f" imports {source}" if step > 1 else "")
    return f" (line {line} of {source})" if step > 1 else f" (line {line})"


def _imports_from_outside(modules: Modules, path: str, imports: Sequence[Import]) -> Iterator[str]:
    found = [(row, modules.resolve(path, row)) for row in imports]
    lost = [f"{targets.outside} (line {row.line})" for row, targets in found if targets.lost]
    outside = sorted({targets.outside for _, targets in found if targets.outside and not targets.lost})
    if lost:
        yield f"imports that lead to no file here: {', '.join(lost[:SHOWN_OUTSIDE])}"
    if outside:
        more = f" and {len(outside) - SHOWN_OUTSIDE} more" if len(outside) > SHOWN_OUTSIDE else ""
        yield f"imports from elsewhere: {', '.join(outside[:SHOWN_OUTSIDE])}{more}"
