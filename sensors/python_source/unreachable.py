"""Finds statements that can never run, such as those after a ``return``. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

JUMPS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreachableCode:
    """The rest of a block after a statement that ends it: first and last line, that statement's kind (``after``), and
    the number of syntax nodes.
    """

    line: int
    last: int
    after: str
    nodes: int


def find_unreachable(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[UnreachableCode, ...]:
    """The unreachable code of a function in source order, without code that was disabled on purpose."""
    return tuple(found for block in _blocks(function) if (found := _find_in_block(block)) is not None)


def has_switched_off_branch(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether the function has a branch with a constant false condition: ``if False:``."""
    return any(isinstance(node, ast.If | ast.While) and _constant(node.test) is False for node in ast.walk(function))


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for _, value in ast.iter_fields(node):
        if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            yield value
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _blocks(child)


def _find_in_block(block: list[ast.stmt]) -> UnreachableCode | None:
    for at, statement in enumerate(block[:-1]):
        if _ends(statement):
            rest = block[at + 1 :]
            if _disables_rest(statement) or all(map(_is_marker, rest)) or any(map(_makes_generator, rest)):
                return None
            return UnreachableCode(
                line=rest[0].lineno,
                last=rest[-1].end_lineno or rest[-1].lineno,
                after=type(statement).__name__.lower(),
                nodes=sum(1 for part in rest for _ in ast.walk(part)),
            )
    return None


def _ends(statement: ast.stmt) -> bool:
    """Whether no statement after this one in its block ever runs."""
    if isinstance(statement, JUMPS):
        return True
    if isinstance(statement, ast.If):
        constant = _constant(statement.test)
        branches = (
            [statement.body if constant else statement.orelse]
            if constant is not None
            else [statement.body, statement.orelse]
        )
        return all(any(map(_ends, branch)) for branch in branches)
    if isinstance(statement, ast.While):
        return _constant(statement.test) is True and not any(_breaks(part) for part in statement.body)
    return False


def _breaks(node: ast.AST) -> bool:
    """Whether ``node`` has a ``break`` that ends the loop around ``node``."""
    if isinstance(node, ast.Break):
        return True
    if isinstance(node, SCOPES):
        return False
    if isinstance(node, ast.For | ast.AsyncFor | ast.While):  # a break in their bodies is their own
        return any(map(_breaks, node.orelse))
    return any(map(_breaks, ast.iter_child_nodes(node)))


def _constant(test: ast.expr) -> bool | None:
    return bool(test.value) if isinstance(test, ast.Constant) else None


def _disables_rest(statement: ast.stmt) -> bool:
    """``raise NotImplementedError`` or ``AssertionError``: the code after it was disabled on purpose."""
    if not isinstance(statement, ast.Raise) or statement.exc is None:
        return False
    raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
    return isinstance(raised, ast.Name) and raised.id in ("NotImplementedError", "AssertionError")


def _is_marker(statement: ast.stmt) -> bool:
    """A statement for readers or type checkers, which is not expected to run."""
    if isinstance(statement, ast.Pass | ast.Raise | ast.Assert):
        return True
    if isinstance(statement, ast.Return):
        return statement.value is None or isinstance(statement.value, ast.Constant)
    if not isinstance(statement, ast.Expr):
        return False
    value = statement.value
    named = value.func if isinstance(value, ast.Call) else None
    name = named.attr if isinstance(named, ast.Attribute) else getattr(named, "id", "")
    return isinstance(value, ast.Constant) or name in ("assert_never", "NotImplementedError", "reveal_type")


def _makes_generator(statement: ast.stmt) -> bool:
    """Has a ``yield``: after a ``return`` that makes the function an empty generator."""
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(statement))
