"""The statements that a change adds to a Python file: of a compound statement its head, of a block its steps."""

from __future__ import annotations

import ast
import copy
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scoped = Function | ast.ClassDef
ROOT = ""
Found = tuple[str, str]
"""The rule that is missed, and what misses it."""


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
    """A new statement, and the fingerprint of every expression that stood in what it replaces."""

    unit: Unit
    kept: frozenset[bytes]
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


def expressions(every: Sequence[Unit]) -> frozenset[bytes]:
    """The fingerprint of each expression in these statements."""
    return frozenset(
        fingerprint(node)
        for unit in every
        for part in unit.parts()
        for node in ast.walk(part)
        if isinstance(node, ast.expr | ast.comprehension | ast.keyword | ast.arg)
    )


def fingerprint(node: ast.AST) -> bytes:
    """What two expressions share that are written alike. It is kept with the node: expressions never change."""
    known: bytes | None = getattr(node, "_fingerprint", None)
    if known is None:
        digest = hashlib.blake2b(type(node).__name__.encode(), digest_size=16)
        for name in node._fields:
            value = getattr(node, name, None)
            digest.update(b"\0" + name.encode())
            for one in value if isinstance(value, list) else (value,):
                if isinstance(one, ast.AST):
                    digest.update(b"\1" + fingerprint(one))
                else:
                    said = f"{type(one).__name__} {one!r}".encode("utf-8", "surrogatepass")
                    digest.update(b"\2%d " % len(said) + said)
        known = digest.digest()
        if not isinstance(node, ast.expr_context | ast.operator | ast.unaryop | ast.cmpop | ast.boolop):
            node._fingerprint = known  # type: ignore[attr-defined]
    return known


def functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Every function with its qualified name."""
    left: list[tuple[str, ast.AST]] = [(ROOT, node) for node in reversed(tree.body)]
    while left:
        scope, node = left.pop()
        if isinstance(node, Scoped):
            scope = f"{scope}.{node.name}".strip(".")
            if isinstance(node, Function):
                yield scope, node
        left += [(scope, inner) for inner in reversed(list(_inside(node)))]


def untouched(tree: ast.Module, lines: frozenset[int]) -> ast.Module:
    """What of a file stands on other lines than ``lines``: the file before, where that could not be parsed."""
    kept = copy.deepcopy(tree)
    kept.body = _untouched(kept.body, lines)
    return kept


def _untouched(body: list[ast.stmt], lines: frozenset[int]) -> list[ast.stmt]:
    kept: list[ast.stmt] = []
    for node in body:
        inner = [one for one in _inside(node) if isinstance(one, ast.stmt | ast.ExceptHandler)]
        last = node.end_lineno or node.lineno
        if lines.isdisjoint(range(node.lineno, last + 1)):
            kept.append(node)
        elif inner and isinstance(node, Scoped) and lines.isdisjoint(range(_first(node), inner[0].lineno)):
            node.body = _untouched(node.body, lines) or [ast.Pass()]
            kept.append(node)
    return kept


def _first(node: Scoped) -> int:
    return min([node.lineno, *(mark.lineno for mark in node.decorator_list)])


LINE = re.compile(rb"\r\n|\r|\n")


def differing(old: ast.Module, new: ast.Module, before: bytes, after: bytes) -> tuple[ast.Module, ast.Module]:
    """Both trees without the statements of modules and classes whose text is the same: the quick part of comparing."""
    return _trimmed(old, new, LINE.split(before), LINE.split(after))


Body = TypeVar("Body", ast.Module, ast.ClassDef)


def _trimmed(old: Body, new: Body, lines: Sequence[bytes], others: Sequence[bytes]) -> tuple[Body, Body]:
    had = [(_source(node, lines), node) for node in old.body]
    has = [(_source(node, others), node) for node in new.body]
    same = Counter(text for text, _ in had) & Counter(text for text, _ in has)
    left, right = _without(had, same), _without(has, same)
    classes = {node.name: node for node in left if isinstance(node, ast.ClassDef)}
    for at, node in enumerate(right):
        if isinstance(node, ast.ClassDef) and node.name in classes:
            known = classes[node.name]
            left[left.index(known)], right[at] = _trimmed(known, node, lines, others)
            del classes[node.name]
    one, two = copy.copy(old), copy.copy(new)
    one.body, two.body = left, right
    return one, two


def _without(rows: list[tuple[bytes, ast.stmt]], same: Counter[bytes]) -> list[ast.stmt]:
    left, kept = Counter(same), []
    for text, node in rows:
        if left[text] > 0:
            left[text] -= 1
        else:
            kept.append(node)
    return kept


def _source(node: ast.stmt, lines: Sequence[bytes]) -> bytes:
    """The text of a statement, decorators included."""
    marks: list[ast.expr] = node.decorator_list if isinstance(node, Scoped) else []
    at, column = min([(node.lineno - 1, node.col_offset), *((mark.lineno - 1, mark.col_offset) for mark in marks)])
    end, last = (node.end_lineno or node.lineno) - 1, node.end_col_offset or 0
    if at == end:
        return bytes(lines[at][column:last])
    return b"\n".join([lines[at][column:], *lines[at + 1 : end], lines[end][:last]])
