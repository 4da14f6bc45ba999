"""Texts of errors and warnings: where a test wants one and nothing else of it."""

from __future__ import annotations

import ast

BLOCKS = ("raises", "warns", "deprecated_call", "assertRaises", "assertWarns")
"""Calls of a test that want an error or a warning."""
PATTERNS = frozenset({"assertRaisesRegex", "assertRaisesRegexp", "assertWarnsRegex"})
"""Those that take the text as their second argument."""


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
