"""New code in a test module that could change the program under test instead of testing it.

A new test may build objects and assert; it has no reason to assign to the attributes of a module, to reach into
``__dict__`` or ``sys.modules``, or to patch without taking the patch back. This reads shapes, so it can be fooled by
code that tries hard enough: the failing tests are run from the base's own files as well
(``governance/verification/test_runs.py``), and a change of a test that is there always waits for a person.
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
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
MADE = (
    ast.Call,
    ast.Constant,
    ast.JoinedStr,
    ast.List,
    ast.Tuple,
    ast.Set,
    ast.Dict,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
)


def why_tampering(node: ast.stmt, *, is_method: bool = False) -> str | None:
    """Why a new statement could reach into the program under test, or None. ``is_method``: it is in a class."""
    fresh = set(_fresh(node)) | (OWN - _taken(node, is_method=is_method))
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


def _taken(node: ast.stmt, *, is_method: bool) -> set[str]:
    """Those of the names for a method's own object that a function outside of a class has as an argument."""
    methods = {id(step) for part in ast.walk(node) if isinstance(part, ast.ClassDef) for step in part.body}
    if is_method:
        methods.add(id(node))
    outside = (part for part in ast.walk(node) if isinstance(part, FUNCTION) and id(part) not in methods)
    return {
        argument.arg for function in outside for argument in ast.walk(function.args) if isinstance(argument, ast.arg)
    }


def _fresh(node: ast.stmt) -> Iterator[str]:
    """Names that the statement binds to something new: what is made by a call or a literal.

    An argument is none of them: who calls the function hands it over, be it the module under test.
    """
    others: set[str] = set()
    made: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.arg):
            others.update({part.arg} - OWN)
        elif isinstance(part, ast.Assign | ast.AnnAssign):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            (made if isinstance(part.value, MADE) else others).update(names)
        elif isinstance(part, ast.With | ast.AsyncWith):
            for item in part.items:
                if isinstance(item.optional_vars, ast.Name):
                    (made if isinstance(item.context_expr, ast.Call) else others).add(item.optional_vars.id)
    yield from made - others
