"""Mutation testing of one function: whether its tests fail for small changes (mutants) of it.

The mutants are derived from the committed function; neither a model nor the op influences them.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ledger.ports import TreePort
from ledger.vocabulary import ClosureAnswer, RunStatus, SymbolPinned
from sensors.python_source.docstrings import Function, public_symbols
from sensors.python_source.syntax import parse_python

MAX_MUTANTS = 3
"""Number of mutants of a function; its tests have to fail for each."""
SWAPPED_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
}
SWAPPED_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


class Mutant(NamedTuple):
    """A file with one change in a function. ``what`` describes the change and its place."""

    what: str
    data: bytes


def mutants_of(data: bytes, symbol: str) -> tuple[Mutant, ...]:
    """Up to :data:`MAX_MUTANTS` mutants of the module's function ``symbol``: one of a result, others spread over its
    code.

    Empty for a function that returns nothing: a test that only calls it would pass, and pin no behaviour.
    """
    tree = parse_python(data)
    nodes = [node for node in tree.body if isinstance(node, Function) and node.name == symbol] if tree else []
    if len(nodes) != 1:
        return ()
    try:
        inside = sorted(_mutable_nodes(nodes[0].body), key=lambda node: (node.lineno, node.col_offset))
        results, others = list(_result_mutants(data, inside)), list(_operator_mutants(data, inside))
    except RecursionError:
        return ()
    rest = [*results[1:], *others]
    step = max(1, -(-len(rest) // (MAX_MUTANTS - 1)))
    return (*results[:1], *rest[::step][: MAX_MUTANTS - 1]) if results else ()


def _mutable_nodes(nodes: Iterable[ast.AST]) -> Iterator[ast.Return | ast.expr]:
    """Nodes that may be mutated. None inside f-strings, whose parts have no positions of their own."""
    for node in nodes:
        if isinstance(node, ast.Return | ast.expr):
            yield node
        if not isinstance(node, ast.JoinedStr):
            yield from _mutable_nodes(ast.iter_child_nodes(node))


def _result_mutants(data: bytes, nodes: Iterable[ast.AST]) -> Iterator[Mutant]:
    for node in nodes:
        if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
            yield _replace_node(data, node.value, ast.Constant(value=None))


def _operator_mutants(data: bytes, nodes: Iterable[ast.AST]) -> Iterator[Mutant]:
    for node in nodes:
        if isinstance(node, ast.BinOp) and type(node.op) in SWAPPED_OPERATORS:
            yield _replace_node(data, node, ast.BinOp(node.left, SWAPPED_OPERATORS[type(node.op)](), node.right))
        elif isinstance(node, ast.BoolOp):
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield _replace_node(data, node, ast.BoolOp(other, node.values))
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED_COMPARISONS:
            ops = [SWAPPED_COMPARISONS[type(node.ops[0])](), *node.ops[1:]]
            yield _replace_node(data, node, ast.Compare(node.left, ops, node.comparators))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _replace_node(data: bytes, node: ast.expr, other: ast.expr) -> Mutant:
    """The file with ``other`` in place of ``node``; the text before it keeps its position."""
    lines = data.splitlines(keepends=True)
    last = node.end_lineno or node.lineno
    head = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
    tail = lines[last - 1][node.end_col_offset or 0 :] + b"".join(lines[last:])
    new, old = ast.unparse(other), ast.unparse(node)
    return Mutant(f"`{new}` for `{old}` in line {node.lineno}", head + f"({new})".encode() + tail)


async def pinned_answer(check: SymbolPinned, tree: TreePort) -> ClosureAnswer:
    """Closed when the function is unchanged, its tests pass, and one of them fails for every mutant."""
    name, data = f"{check.symbol} in {check.path}", await tree.read(check.path)
    found = {public.name: public.body for public in public_symbols(data)} if data is not None else {}
    if data is None or check.symbol not in found:
        return ClosureAnswer(closed=False, gone=True, reason=f"there is no {name} any more")
    if found[check.symbol] != check.body:
        return ClosureAnswer(closed=False, reason=f"{name} is not what it was: its tests were to change, not it")
    if await tree.read(check.test) is None:
        return ClosureAnswer(closed=False, reason=f"there is no {check.test}")
    run = await tree.run([check.test])
    if run.status is not RunStatus.GREEN or not run.passed:
        return ClosureAnswer(closed=False, reason=f"{check.test} does not pass: {run.reason or run.status.value}")
    mutants = await asyncio.to_thread(mutants_of, data, check.symbol)
    for mutant in mutants:
        changed = await tree.run([check.test], instead={check.path: mutant.data})
        if changed.status is not RunStatus.RED:
            result = "still passes" if changed.status is RunStatus.GREEN else "gives no answer"
            return ClosureAnswer(closed=False, reason=f"{check.test} {result} with {mutant.what}")
    if not mutants:
        return ClosureAnswer(closed=False, reason=f"nothing of {name} can be changed to see whether a test notices")
    return ClosureAnswer(closed=True, reason=f"{check.test} notices {len(mutants)} of {len(mutants)} changes of {name}")
