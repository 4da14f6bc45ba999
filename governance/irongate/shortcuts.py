"""Ways to turn a test green without being right, in the code that is tested: part of gate 16.

Skipping the test from inside, asking for the very value that the test gives, catching what the test complains of. The
first is nothing that program code does; the others may be right, so a person is asked, or shown.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Collection, Iterator

from governance.irongate.syntax import parse

SKIPS = frozenset({"skip", "skipTest", "xfail", "SkipTest", "importorskip", "_exit"})
HARNESS = frozenset({"pytest", "_pytest", "unittest", "nose", "os", "self"})
BROAD = frozenset({"", "Exception", "BaseException", "AssertionError"})
COMMON = frozenset(repr(v) for v in (None, True, False, 0, 1, -1, 2, 10, 100, "", 0.0, 1.0, "utf-8"))
"""Literals that say nothing when they stand in a test and in the code."""


def literals(tree: ast.AST) -> frozenset[str]:
    """Telling literals: not small integers, booleans, None or empty."""
    return frozenset(repr(n.value) for n in ast.walk(tree) if isinstance(n, ast.Constant)) - COMMON


def skips(before: ast.Module | None, after: ast.Module) -> tuple[str, ...]:
    """New code that ends or skips a test from the inside."""
    old = set(_skips(before)) if before is not None else set()
    return tuple(what for what in dict.fromkeys(_skips(after)) if what not in old)


def _skips(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in SKIPS and ast.unparse(node.value).split(".")[0] in HARNESS:
            yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and node.module in ("pytest", "unittest", "unittest.case", "os"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name in SKIPS)


def asked_for(before: ast.Module | None, after: ast.Module, tests: Collection[str]) -> tuple[str, ...]:
    """New conditions on a literal that stands in a failing test and did not stand in the file."""
    told = literals_of(tests) - (literals(before) if before is not None else frozenset())
    return tuple(dict.fromkeys(text for test in _conditions(after) for text in sorted(literals(test) & told)))


def _conditions(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            yield node.test
        elif isinstance(node, ast.match_case):
            yield node.pattern
        elif isinstance(node, ast.Dict):  # a table of answers: what is asked for is its keys
            yield from (key for key in node.keys if key is not None)


def copied(before: ast.Module | None, after: ast.Module, tests: Collection[str]) -> tuple[str, ...]:
    """Literals that stand in a failing test, stand in the file now, and did not stand there before."""
    new = literals(after) - (literals(before) if before is not None else frozenset())
    return tuple(sorted(new & literals_of(tests)))


def literals_of(tests: Collection[str]) -> frozenset[str]:
    """Telling literals of the texts that parse."""
    trees = [parse(textwrap.dedent(text)) for text in tests]
    return frozenset[str]().union(*(literals(tree) for tree in trees if tree is not None))


def swallows(before: ast.Module | None, after: ast.Module) -> tuple[tuple[str, bool], ...]:
    """New handlers that do not raise again: what they catch, and whether that is nearly everything."""
    old = [_caught(handler) for handler in _handlers(before)] if before is not None else []
    found = []
    for handler in _handlers(after):
        caught = _caught(handler)
        if caught in old:
            old.remove(caught)
        elif not any(isinstance(node, ast.Raise) for node in ast.walk(handler)):
            names = caught.strip("(),").replace(" ", "").split(",")
            found.append((caught or "everything", bool(BROAD & set(names))))
    return tuple(dict.fromkeys(found))


def _handlers(tree: ast.Module) -> list[ast.ExceptHandler]:
    plain = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    return plain + [_as_handler(node) for node in ast.walk(tree) if isinstance(node, ast.Call) and _suppresses(node)]


def _suppresses(call: ast.Call) -> bool:
    return ast.unparse(call.func) in ("suppress", "contextlib.suppress")


def _as_handler(call: ast.Call) -> ast.ExceptHandler:
    return ast.ExceptHandler(type=ast.Tuple(elts=call.args, ctx=ast.Load()), name=None, body=[ast.Pass()])


def _caught(handler: ast.ExceptHandler) -> str:
    return ast.unparse(handler.type) if handler.type is not None else ""
