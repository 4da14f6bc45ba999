"""Program slices of one function: the statements that some names or lines depend on. Pure.

The order of statements is ignored, and names are identified with their values, so that a slice errs on the side of too
many lines. That suffices to separate computed values from code that merely ran.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

_CHANGING = """
    add append appendleft clear discard extend insert pop popitem popleft remove reverse setdefault sort update
    write
    """
CHANGING = frozenset(_CHANGING.split())
"""Methods of the standard library that change their object."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
_NAMES = ast.Attribute | ast.Name


@dataclass(frozen=True)
class Slice:
    """A slice: its lines, and names that they call or read of other objects."""

    lines: frozenset[int]
    called: frozenset[str]
    read: frozenset[str]

    @cached_property
    def named(self) -> frozenset[str]:
        return self.called | self.read


@dataclass(frozen=True, slots=True)
class _StatementFacts:
    """Reads, writes and calls of one statement."""

    reads: frozenset[str]
    writes: frozenset[str]
    called: frozenset[str]
    named: frozenset[str]  # names, and attributes of other objects: a function may be passed as a value
    gives: bool


class Body:
    """A function's statements, analysed once: many tests run the same function."""

    def __init__(self, function: Function) -> None:
        self._function = function

    @cached_property
    def _facts(self) -> dict[ast.stmt, _StatementFacts]:
        """By statement, in the order of the text."""
        return {statement: _facts_of(statement) for statement in _statements(self._function.body)}

    @cached_property
    def _around(self) -> dict[ast.stmt, list[ast.stmt]]:
        return _conditions(self._function)

    @cached_property
    def given(self) -> frozenset[int]:
        """Lines of returned values; without any, of values that are stored in other objects."""
        back = [s for s, facts in self._facts.items() if facts.gives]
        stored = [s for s, facts in self._facts.items() if any("." in name for name in facts.writes)]
        return frozenset(s.lineno for s in (back or stored or self._facts))

    @cached_property
    def written(self) -> frozenset[str]:
        """Attributes of its object that it writes: ``self.x``."""
        return frozenset(n for facts in self._facts.values() for n in facts.writes if n.startswith("self."))

    def sliced(self, *, names: Collection[str], lines: Collection[int]) -> Slice:
        """Statements that ``names``, or what is read at ``lines``, depend on."""
        own, around = self._facts, self._around
        wanted = set(names)
        taken = {s for s in own if any(_holds_line(s, line) for line in lines)}
        waiting = list(taken)
        while True:
            for statement in waiting:
                wanted |= own[statement].reads
            grown = {s for s, facts in own.items() if s not in taken and not wanted.isdisjoint(facts.writes)}
            grown |= {c for s in (*taken, *grown) for c in around.get(s, ()) if c not in taken}
            if not grown:
                break
            taken |= grown
            waiting = list(grown)
        return Slice(
            lines=frozenset(line for s in taken for line in _own_lines(s)),
            called=frozenset(name for s in taken for name in own[s].called),
            read=frozenset(n for n in wanted if "." in n).union(*(own[s].named for s in taken)),
        )


def _facts_of(statement: ast.stmt) -> _StatementFacts:
    parts = list(_parts(statement))
    named = {node.attr if isinstance(node, ast.Attribute) else node.id for node in parts if isinstance(node, _NAMES)}
    called = {_name(node.func) for node in parts if isinstance(node, ast.Call)}
    gives = isinstance(statement, ast.Return) and statement.value is not None
    return _StatementFacts(
        reads=frozenset(_reads(statement, parts)),
        writes=frozenset(_writes(statement, parts)),
        called=frozenset(called - {""}),
        named=frozenset(named),
        gives=gives or any(isinstance(node, ast.Yield | ast.YieldFrom) for node in parts),
    )


def _holds_line(statement: ast.stmt, line: int) -> bool:
    """Whether a line belongs to the statement itself; of a ``with`` the header."""
    if isinstance(statement, ast.With | ast.AsyncWith):
        return statement.lineno <= line <= (statement.items[-1].context_expr.end_lineno or line)
    return line in _own_lines(statement)


def _own_lines(statement: ast.stmt) -> range:
    """The lines of a statement, of a compound one those of its header."""
    body = getattr(statement, "body", None) or getattr(statement, "cases", None)
    end = statement.end_lineno or statement.lineno
    if isinstance(body, list) and body:
        first = body[0].pattern.lineno if isinstance(body[0], ast.match_case) else body[0].lineno
        end = max(statement.lineno, first - 1)
    return range(statement.lineno, end + 1)


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements below, those of inner functions and classes left out."""
    for statement in body:
        yield statement
        if not isinstance(statement, Function | ast.ClassDef):
            for block in _blocks(statement):
                yield from _statements(block)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def _conditions(function: Function) -> dict[ast.stmt, list[ast.stmt]]:
    """For each statement the enclosing compound ones, and earlier conditions that may leave the block."""
    found: dict[ast.stmt, list[ast.stmt]] = {}
    waiting: list[tuple[list[ast.stmt], list[ast.stmt]]] = [(function.body, [])]
    while waiting:
        block, above = waiting.pop()
        leaving: list[ast.stmt] = []
        for statement in block:
            found[statement] = [*above, *leaving]
            if isinstance(statement, Function | ast.ClassDef):
                continue
            waiting += [(inner, [*above, *leaving, statement]) for inner in _blocks(statement)]
            jumps = (ast.Return, ast.Raise, ast.Continue, ast.Break)
            if any(isinstance(s, jumps) for inner in _blocks(statement) for s in _statements(inner)):
                leaving.append(statement)
    return found


def _parts(statement: ast.stmt) -> Iterator[ast.AST]:
    """Nodes of a statement itself; of a ``with`` its whole block, of other compound ones the header."""
    if isinstance(statement, ast.With | ast.AsyncWith):
        yield from ast.walk(statement)
        return
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [c for c in ast.iter_child_nodes(node) if not isinstance(c, ast.stmt | ast.excepthandler)]


def _reads(statement: ast.stmt, parts: Iterable[ast.AST]) -> Iterator[str]:
    for node in parts:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in ("self", "cls"):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and _is_self(node.value):
            yield f"self.{node.attr}"
    if isinstance(statement, ast.AugAssign):
        yield from _targets(statement.target)


def _writes(statement: ast.stmt, parts: Iterable[ast.AST]) -> Iterator[str]:
    if isinstance(statement, Function | ast.ClassDef):
        yield statement.name
        return
    for node in parts:
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            yield from _targets(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            yield from _targets(node.func.value)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        yield from (n for argument in statement.value.args for n in _targets(argument))  # it may be filled in
        if isinstance(statement.value.func, ast.Attribute):
            yield from _targets(statement.value.func.value)


def _targets(node: ast.expr) -> Iterator[str]:
    """The name, or ``self.x``, that a store in ``node`` binds or changes."""
    while isinstance(node, ast.Subscript | ast.Starred | ast.Attribute):
        if isinstance(node, ast.Attribute) and _is_self(node.value):
            yield f"self.{node.attr}"
            return
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _name(node: ast.expr) -> str:
    """The last word of what is called."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
