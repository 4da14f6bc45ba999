"""A Python file as a flat list of statements; of a compound statement only the head (``if x:``) counts. Pure."""

from __future__ import annotations

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from governance.irongate.syntax import BLOCKS

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scoped = Function | ast.ClassDef
ROOT = ""  # the scope of module-level statements
LARGE = 4000  # bits; a larger integer is written in hexadecimal, because Python limits decimals
Found = tuple[str, str]
"""A rule that is broken, and the code that breaks it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A statement. ``scope``: qualified name of the class or function around it. ``key``: equal for equal ones."""

    scope: str
    node: ast.AST
    key: tuple[str, bytes]

    def parts(self) -> list[ast.AST]:
        """The parts to judge: the statement, or the parts of its head."""
        return list(heads(self.node))


def units(tree: ast.Module) -> dict[str, list[Unit]]:
    """Every statement of a file in the order of the text, by the class or function around it.

    A statement's key includes the blocks around it.
    """
    found: dict[str, list[Unit]] = defaultdict(list)
    left: list[tuple[str, str, ast.AST]] = [(ROOT, "", node) for node in reversed(tree.body)]
    while left:
        scope, place, node = left.pop()
        kind = type(node).__name__
        found[scope].append(Unit(scope, node, (f"{place}{kind}", b"\0".join(map(fingerprint, heads(node))))))
        if isinstance(node, Scoped):
            scope, place = f"{scope}.{node.name}".strip("."), ""
            found[scope]  # also where it is empty
        else:
            place = f"{place}{kind}."
        blocks = [(f"{place}{field} ", inner) for field, inner in steps_of(node)]
        left += [(scope, "" if isinstance(node, Scoped) else where, inner) for where, inner in reversed(blocks)]
    return found


def steps_of(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The statements (and handlers and cases) of a compound statement, each with its block's name."""
    if not isinstance(node, ast.Lambda | ast.IfExp):
        for field in BLOCKS:
            value = getattr(node, field, None)
            yield from ((field, inner) for inner in value) if isinstance(value, list) else ()


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """The statements (and handlers and cases) of a compound statement."""
    return (inner for _, inner in steps_of(node))


def heads(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a statement outside its blocks; the statements in the blocks are separate units."""
    if isinstance(node, Function):
        yield from (*_wrap_decorators(node.decorator_list), node.args, *([node.returns] if node.returns else []))
        yield from getattr(node, "type_params", ())
        yield ast.Name(id=node.name, ctx=ast.Store())
    elif isinstance(node, ast.ClassDef):
        yield from (
            *_wrap_decorators(node.decorator_list),
            *node.bases,
            *node.keywords,
            *getattr(node, "type_params", ()),
        )
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


def _wrap_decorators(decorators: list[ast.expr]) -> Iterator[ast.AST]:
    """Decorators, wrapped so that they differ from other parts of a head."""
    return (ast.Starred(value=ast.Starred(value=one, ctx=ast.Load()), ctx=ast.Load()) for one in decorators)


def fingerprint(node: ast.AST) -> bytes:
    """A hash that is equal for equal expressions. It is cached on the node: expressions never change."""
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
                    written = hex(one) if isinstance(one, int) and one.bit_length() > LARGE else repr(one)
                    text = f"{type(one).__name__} {written}".encode("utf-8", "surrogatepass")
                    digest.update(b"\2%d " % len(text) + text)
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
        left += [(scope, inner) for inner in reversed(list(inside(node)))]
