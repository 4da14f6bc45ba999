"""New code in a test module that could change the program under test instead of testing it.

A new test may build objects and assert; it has no reason to assign to the attributes of a module, to reach into
``__dict__`` or ``sys.modules``, or to patch without taking the patch back. This reads shapes, so it can be fooled by
code that tries hard enough: the tests that count are run from the base's own files.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from governance.irongate.syntax import source

CALLS = frozenset(
    {"setattr", "delattr", "exec", "eval", "compile", "globals", "vars", "__import__", "import_module", "reload"}
)
REACHES = frozenset({"__dict__", "__code__", "__globals__", "__builtins__", "__class__", "__defaults__", "MonkeyPatch"})
OWN = frozenset({"self", "cls"})
ALIAS = (ast.Name, ast.Attribute, ast.Subscript)


def tampering(node: ast.stmt) -> str | None:
    """Why a new statement could reach into the program under test, or None."""
    fresh = OWN | set(_fresh(node))
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute | ast.Subscript) and not isinstance(part.ctx, ast.Load):
            if _root(part) not in fresh:
                return f"assigns to {source(part)[:60]}"
        elif isinstance(part, ast.Global | ast.Nonlocal):
            return "rebinds a name outside of itself"
        elif isinstance(part, ast.Call) and _called(part):
            return f"calls {_called(part)}"
        if isinstance(part, ast.Attribute) and (
            part.attr in REACHES or (part.attr == "modules" and _root(part) == "sys")
        ):
            return f"reaches for {part.attr}"
    return None


def _called(call: ast.Call) -> str | None:
    """The name of a call that changes things from afar, or None."""
    if isinstance(call.func, ast.Name):
        return call.func.id if call.func.id in CALLS else None
    if isinstance(call.func, ast.Attribute):
        if call.func.attr in CALLS - {"setattr", "delattr", "compile"}:  # monkeypatch.setattr is undone by pytest
            return call.func.attr
        if call.func.attr == "start" and isinstance(call.func.value, ast.Call):
            return "a patch that is started and not stopped"
    return None


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _fresh(node: ast.stmt) -> Iterator[str]:
    """Names that the statement binds to something new: arguments, and what is made by a call or a literal."""
    aliased: set[str] = set()
    made: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.arg):
            made.add(part.arg)
        elif isinstance(part, ast.Assign | ast.AnnAssign):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            (aliased if isinstance(part.value, ALIAS) else made).update(names)
        elif isinstance(part, ast.With | ast.AsyncWith):
            made.update(i.optional_vars.id for i in part.items if isinstance(i.optional_vars, ast.Name))
    yield from made - aliased
