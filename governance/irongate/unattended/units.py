"""The statements that a change adds to a Python file: of a compound statement its head, of a block its steps."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scoped = Function | ast.ClassDef
ROOT = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """``scope``: the qualified name of the class or function around it (empty: the module). ``outer``: its kind."""

    scope: str
    outer: type[ast.AST]
    node: ast.AST
    key: str

    def parts(self) -> list[ast.AST]:
        """What of it is to be judged: the statement, or what stands in its head."""
        return list(heads(self.node))


@dataclass(frozen=True, slots=True)
class Added:
    """A new statement, and the text of every expression that stood in what it replaces."""

    unit: Unit
    kept: frozenset[str]
    replaced: tuple[Unit, ...]


def units(tree: ast.Module) -> Iterator[Unit]:
    """Every statement of a file with the place where it stands."""
    left: list[tuple[str, type[ast.AST], ast.AST]] = [(ROOT, ast.Module, node) for node in reversed(tree.body)]
    while left:
        scope, outer, node = left.pop()
        yield Unit(scope, outer, node, f"{type(node).__name__}:" + "|".join(ast.dump(part) for part in heads(node)))
        if isinstance(node, Scoped):
            scope, outer = f"{scope}.{node.name}".strip("."), type(node)
        left += [(scope, outer, inner) for inner in reversed(list(_inside(node)))]


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """The statements (and handlers and cases) that stand in a compound one."""
    for field in ("body", "handlers", "cases", "orelse", "finalbody"):
        value = getattr(node, field, None)
        if isinstance(value, list) and not isinstance(node, ast.Lambda | ast.IfExp):
            yield from value


def heads(node: ast.AST) -> Iterator[ast.AST]:
    """What is judged of a statement itself; a block's own steps are units of their own."""
    if isinstance(node, Function):
        yield from (*node.decorator_list, node.args, *([node.returns] if node.returns else []))
        yield ast.Name(id=node.name, ctx=ast.Store())
    elif isinstance(node, ast.ClassDef):
        yield from (*node.decorator_list, *node.bases, *node.keywords)
        yield ast.Name(id=node.name, ctx=ast.Store())
    elif isinstance(node, ast.If | ast.While):
        yield node.test
    elif isinstance(node, ast.For | ast.AsyncFor):
        yield from (node.target, node.iter)
    elif isinstance(node, ast.With | ast.AsyncWith):
        yield from node.items
    elif isinstance(node, ast.ExceptHandler):
        yield from ([node.type] if node.type else [])
        yield ast.Name(id=node.name or "", ctx=ast.Store())
    elif isinstance(node, ast.Match):
        yield node.subject
    elif isinstance(node, ast.match_case):
        yield from (node.pattern, *([node.guard] if node.guard else []))
    elif not isinstance(node, ast.Try | ast.TryStar):
        yield node


def added(old: ast.Module, new: ast.Module) -> list[Added]:
    """The statements of ``new`` that do not stand in the same place of ``old``, however often they stand there."""
    had: dict[str, list[Unit]] = defaultdict(list)
    for unit in units(old):
        had[unit.scope].append(unit)
    left = Counter((unit.scope, unit.key) for every in had.values() for unit in every)
    fresh: list[Unit] = []
    for unit in units(new):
        if left[unit.scope, unit.key] > 0:
            left[unit.scope, unit.key] -= 1
        else:
            fresh.append(unit)
    gone = {scope: tuple(_gone(every, left)) for scope, every in had.items()}
    kept = {scope: expressions(every) for scope, every in gone.items()}
    return [Added(unit, kept.get(unit.scope, frozenset()), gone.get(unit.scope, ())) for unit in fresh]


def _gone(every: Sequence[Unit], left: Counter[tuple[str, str]]) -> Iterator[Unit]:
    counted = Counter[str]()
    for unit in reversed(every):
        if counted[unit.key] < left[unit.scope, unit.key]:
            counted[unit.key] += 1
            yield unit


def expressions(every: Sequence[Unit]) -> frozenset[str]:
    """The text of each expression in these statements."""
    return frozenset(
        ast.dump(node)
        for unit in every
        for part in unit.parts()
        for node in ast.walk(part)
        if isinstance(node, ast.expr | ast.comprehension | ast.keyword | ast.arg)
    )


def functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Every function with its qualified name."""
    for unit in units(tree):
        if isinstance(unit.node, Function):
            yield f"{unit.scope}.{unit.node.name}".strip("."), unit.node
