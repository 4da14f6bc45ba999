"""Texts of errors and warnings: where a change raises one, and where a test wants one and nothing else of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from governance.irongate.unattended.names import dotted, stores
from governance.irongate.unattended.tables import BUILTINS
from governance.irongate.unattended.units import Function

BLOCKS = ("raises", "warns", "deprecated_call", "assertRaises", "assertWarns")
"""Calls of a test that want an error or a warning."""
PATTERNS = frozenset({"assertRaisesRegex", "assertRaisesRegexp", "assertWarnsRegex"})
"""Those that take the text as their second argument."""
MAKERS = frozenset({"format", "join"})
WARN = "warnings.warn"


def wanted_messages(test: ast.AST) -> frozenset[int]:
    """Constants (by identity) that a test compares with the text of an error or a warning alone."""
    found: list[ast.AST] = []
    caught: set[str] = set()
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and _last(node.func) in (*BLOCKS, *PATTERNS):
            found += [word.value for word in node.keywords if word.arg == "match"]
            found += node.args[1:2] if _last(node.func) in PATTERNS else []
        elif isinstance(node, ast.With | ast.AsyncWith):
            caught.update(
                item.optional_vars.id
                for item in node.items
                if isinstance(item.context_expr, ast.Call)
                and _last(item.context_expr.func) in (*BLOCKS, *PATTERNS)
                and isinstance(item.optional_vars, ast.Name)
            )
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            sides = [node.left, node.comparators[0]]
            of_error = [any(isinstance(n, ast.Name) and n.id in caught for n in ast.walk(side)) for side in sides]
            found += [side for side, other in zip(sides, reversed(of_error), strict=True) if other]
    return frozenset(id(node) for top in found for node in ast.walk(top) if isinstance(node, ast.Constant))


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def raised_texts(function: Function, imports: Mapping[str, str]) -> frozenset[int]:
    """Constants (by identity) of a function that become the text of an error or a warning and nothing else.

    An error that the same function may catch does not count, nor a text that is handed to anything on its way.
    """
    caught = {
        id(node)
        for block in ast.walk(function)
        if isinstance(block, ast.Try | ast.TryStar) and block.handlers
        for step in block.body
        for node in ast.walk(step)
    }
    found: set[int] = set()
    inside: set[int] = set()
    for node in ast.walk(function):
        if id(node) in caught or not isinstance(node, ast.Raise | ast.Expr):
            continue
        for part in _texts_of(node, imports):
            if _is_text_alone(part):
                inside |= {id(n) for n in ast.walk(part) if isinstance(n, ast.Name)}
                found |= {id(n) for n in ast.walk(part) if isinstance(n, ast.Constant)}
    loads = [n for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    elsewhere = {n.id for n in loads if id(n) not in inside}
    only = {n.id for n in loads} - elsewhere
    kept = {name for node in ast.walk(function) if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    bound = list(stores(function.body))
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in only - kept and bound.count(name) == 1 and _is_text_alone(node.value):
                found |= {id(n) for n in ast.walk(node.value) if isinstance(n, ast.Constant)}
    return frozenset(found)


def _texts_of(node: ast.Raise | ast.Expr, imports: Mapping[str, str]) -> Iterator[ast.expr]:
    """What an error is made of, or the text of a warning."""
    call = node.exc if isinstance(node, ast.Raise) else node.value
    if not isinstance(call, ast.Call):
        return
    if isinstance(node, ast.Raise) and _last(call.func)[:1].isupper():
        yield from call.args
    elif isinstance(node, ast.Expr) and dotted(call.func, dict(imports)) == WARN:
        yield from call.args[:1]


def _is_text_alone(node: ast.expr) -> bool:
    """A text, with what is put into it: nothing keeps it, nothing outside of the language is called."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.NamedExpr | ast.Lambda | ast.Await | ast.Yield | ast.YieldFrom | ast.Compare):
            return False
        if isinstance(inner, ast.Call) and not _makes_text(inner.func):
            return False
    return True


def _makes_text(func: ast.expr) -> bool:
    return (isinstance(func, ast.Attribute) and func.attr in MAKERS and isinstance(func.value, ast.Constant)) or (
        isinstance(func, ast.Name) and func.id in BUILTINS
    )
