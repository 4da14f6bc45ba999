"""Cyclomatic complexity of Python functions: how many ways lead through each. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sensors.python_source.docstrings import Function
from sensors.python_source.syntax import parse_python

BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler)


def _ways(node: ast.AST) -> int:
    """How many ways a node adds: a branch one, `a and b and c` two, a loop in brackets one and one for each `if`."""
    if isinstance(node, BRANCHES):
        return 1
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if isinstance(node, ast.Match):
        return sum(not (isinstance(c.pattern, ast.MatchAs) and c.pattern.pattern is None) for c in node.cases)
    return 0


def _functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Functions and methods by their qualified names. What is defined inside of a function is a part of it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield f"{prefix}{child.name}", child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.stmt):
            yield from _functions(child, prefix)


def complexities(data: bytes) -> dict[str, int] | None:
    """The complexity of each function, of several of one name the highest; None where the file cannot be read."""
    tree = parse_python(data)
    if tree is None:
        return None
    found: dict[str, int] = {}
    try:
        for name, node in _functions(tree):
            found[name] = max(found.get(name, 0), 1 + sum(map(_ways, ast.walk(node))))
    except RecursionError:
        return None
    return found
