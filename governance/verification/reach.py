"""Which changed functions the repaired tests execute; a function that no test enters is untested. Pure."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from governance.irongate.paths import is_code, is_python, is_test_path
from governance.irongate.syntax import dump, parse, without_docstrings
from ledger.vocabulary import Edit, Frozen, RunCoverage
from tools.testing.runner import LookedFor

Function = ast.FunctionDef | ast.AsyncFunctionDef
MAX_FUNCTIONS = 400
"""Maximum number of functions to look for; a larger change needs approval anyway."""


class ChangedFunction(NamedTuple):
    """First line (with decorators), name of the code object, and qualified name or description."""

    line: int
    name: str
    display_name: str


class Reach(Frozen):
    """Changed source files, and the changed functions of each."""

    files: tuple[str, ...] = ()
    functions: tuple[tuple[str, int, str, str], ...] = ()  # path, first line, code name, display name

    def to_observe(self, *, by_function: bool) -> LookedFor:
        """What a test run has to observe. Functions only for runs of the failing tests."""
        functions = tuple((path, line, name) for path, line, name, _ in self.functions) if by_function else ()
        return LookedFor(files=self.files, functions=functions)

    def unreached(self, seen: RunCoverage | None, *, by_function: bool) -> tuple[str, ...]:
        """Changed code that no test reached, one sentence each."""
        loaded = seen.files if seen is not None else frozenset()
        entered = seen.functions if seen is not None else frozenset()
        kind = "failing test" if by_function else "test"
        found = [f"no {kind} loads {path}" for path in self.files if path not in loaded]
        if not by_function:
            return tuple(found)
        late = " (only the first calls could be observed)" if seen is not None and seen.cut else ""
        return tuple(found) + tuple(
            f"no failing test runs {known} in {path}{late}"
            for path, line, name, known in self.functions
            if path in loaded and (path, line, name) not in entered
        )


def reach_of(edits: Sequence[Edit], before: Mapping[str, bytes | None]) -> Reach:
    """The candidate's changed source files, without tests (which need approval). ``before``: old content by new path.

    Python files in which only comments or docstrings change are left out.
    """
    files, functions = list[str](), list[tuple[str, int, str, str]]()
    for edit in edits:
        if edit.after is None or not is_code(edit.path) or is_test_path(edit.path):
            continue
        found = changed_functions(before.get(edit.path), edit.after) if is_python(edit.path) else ()
        if found is None:
            continue
        files.append(edit.path)
        functions += [(edit.path, *one) for one in found]
    return Reach(files=tuple(files), functions=tuple(functions[:MAX_FUNCTIONS]))


def changed_functions(before: bytes | None, after: bytes) -> tuple[ChangedFunction, ...] | None:
    """Functions whose own code is new or differs; None when the code of the whole file is unchanged."""
    old, new = parse(before) if before is not None else None, parse(after)
    if new is None:
        return ()
    new = without_docstrings(new)
    had: dict[str, Counter[str | None]] = {}
    if old is not None:
        old = without_docstrings(old)
        if (was := dump(old)) is not None and was == dump(new):
            return None
        for name, node in _functions(old):
            had.setdefault(name, Counter())[_own_code(node)] += 1
    found = []
    for name, node in _functions(new):
        own = _own_code(node)
        if own is not None and had.get(name, Counter())[own] > 0:
            had[name][own] -= 1
        elif isinstance(node, ast.Lambda):
            found.append(
                ChangedFunction(line=node.lineno, name="<lambda>", display_name=f"the lambda in line {node.lineno}")
            )
        else:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            found.append(ChangedFunction(line=first, name=node.name, display_name=name))
    return tuple(found)


def _functions(tree: ast.Module) -> Iterator[tuple[str, Function | ast.Lambda]]:
    """Every function with its qualified name; a lambda outside functions is named after its scope."""
    left: list[tuple[str, bool, ast.AST]] = [("", False, tree)]
    while left:
        prefix, inside, node = left.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield f"{prefix}{child.name}", child
                left.append((f"{prefix}{child.name}.", True, child))
            elif isinstance(child, ast.ClassDef):
                left.append((f"{prefix}{child.name}.", inside, child))
            elif isinstance(child, ast.Lambda) and not inside:
                yield f"{prefix}<lambda>", child
            else:
                left.append((prefix, inside, child))


def _own_code(node: Function | ast.Lambda) -> str | None:
    """A function's code without the bodies of nested functions; None when it is nested too deeply to dump."""
    inner = [part for part in ast.walk(node) if isinstance(part, Function) and part is not node]
    bodies = [part.body for part in inner]
    for part in inner:
        part.body = []
    try:
        return dump(node)
    finally:
        for part, body in zip(inner, bodies, strict=True):
            part.body = body
