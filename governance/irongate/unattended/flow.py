"""Which names of a function stand for what outlives its call: modules, classes, what a module keeps. Pure.

A store into such a thing is seen by every later call, whatever name it was given on the way.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from governance.irongate.unattended.scopes import Bound, Scopes
from governance.irongate.unattended.tables import STATEFUL, words
from governance.irongate.unattended.units import Function

MAKERS = words(
    """
    list dict set frozenset tuple sorted str bytes bytearray int float complex bool len sum abs round repr range
    enumerate zip map filter reversed any all isinstance issubclass hash id ord chr hex oct bin format callable hasattr
    divmod pow slice object print ascii
    """
)
"""Builtins of which the result is new, or cannot be changed."""
COPIES = frozenset(
    {"copy", "deepcopy", "split", "rsplit", "splitlines", "join", "replace", "strip", "lstrip", "rstrip", "lower",
     "upper", "format", "encode", "decode", "keys", "items", "count", "index", "find", "startswith", "endswith",
     "union", "intersection", "difference", "isoformat", "match", "search", "fullmatch", "findall", "finditer", "sub"}
)  # fmt: skip
"""Methods of which the result is new."""
CHANGES_FIRST = words(
    "heappush heappop heapify heapreplace heappushpop insort insort_left insort_right shuffle next setattr delattr"
)
"""Functions that change their first argument."""


class Flow:
    """The names of one function that may stand for what outlives its call."""

    def __init__(self, function: Function | None, scope: str, scopes: Scopes) -> None:
        self._scope, self._scopes = scope, scopes
        self._outliving: frozenset[str] = frozenset()
        if function is not None:
            self._outliving = self._fixed(list(_bindings(function)))

    def _fixed(self, bindings: list[tuple[str, ast.expr]]) -> frozenset[str]:
        """As long as names are added: what is bound to something that outlives the call does so itself."""
        while True:
            more = {name for name, value in bindings if self.outlives(value)} - self._outliving
            if not more:
                return self._outliving
            self._outliving |= more

    def outlives(self, node: ast.AST) -> bool:
        """Whether the value of an expression may be something that was there before the call and stays."""
        if isinstance(node, ast.Name):
            if node.id in self._outliving or node.id == "cls":
                return True
            return self._scopes.where(self._scope, node.id) in (Bound.MODULE, Bound.NOWHERE)
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Starred | ast.Await):
            return self.outlives(node.value)
        if isinstance(node, ast.Call):
            return self._result(node)
        if isinstance(node, ast.IfExp):
            return self.outlives(node.body) or self.outlives(node.orelse)
        if isinstance(node, ast.BoolOp):
            return any(map(self.outlives, node.values))
        if isinstance(node, ast.NamedExpr):
            return self.outlives(node.value)
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return any(map(self.outlives, (one for one in node.elts if not isinstance(one, ast.Constant))))
        if isinstance(node, ast.Dict):
            return any(map(self.outlives, (one for one in node.values if not isinstance(one, ast.Constant))))
        return False

    def _result(self, node: ast.Call) -> bool:
        func = node.func
        if isinstance(func, ast.Attribute):
            return func.attr not in COPIES and self._kept(func.value)
        if isinstance(func, ast.Name):
            if self._scopes.where(self._scope, func.id) is not Bound.NOWHERE:
                return False  # a function of the program: what it gives is its own affair
            if func.id in MAKERS or func.id[:1].isupper():
                return False
            return func.id in ("type", "super") or any(map(self.outlives, node.args))
        return False

    def _kept(self, node: ast.AST) -> bool:
        """Whether a method is called on a value that outlives the call, and not on a module's function."""
        root = node
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        is_module = isinstance(root, ast.Name) and self._scopes.is_imported(root.id)
        return self.outlives(node) and not is_module

    def changes(self, part: ast.AST) -> Iterator[str]:
        """What in a statement changes, or hands on for changing, something that outlives the call: said as a phrase."""
        called = {id(node.func) for node in ast.walk(part) if isinstance(node, ast.Call)}
        for node in ast.walk(part):
            if isinstance(node, ast.Attribute) and node.attr in STATEFUL and isinstance(node.ctx, ast.Load):
                if self.outlives(node.value):
                    yield f".{node.attr}() of what outlives the call"
                elif id(node) not in called:
                    yield f"hands .{node.attr} on"
            elif isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
                if self.outlives(node.value):
                    yield f"stores into {ast.unparse(node.value)[:40]}, which outlives the call"
            elif isinstance(node, ast.Call):
                func = node.func
                name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
                if name in CHANGES_FIRST and node.args and self.outlives(node.args[0]):
                    yield f"{name}() of what outlives the call"


def _bindings(function: Function) -> Iterator[tuple[str, ast.expr]]:
    """Every name that a function binds with what it is bound to, or taken from."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _pairs(target, node.value)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr | ast.AugAssign) and node.value is not None:
            yield from _pairs(node.target, node.value)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            yield from _pairs(node.target, node.iter)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            yield from _pairs(node.optional_vars, node.context_expr)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                yield from ((name, node.subject) for name in _captured(case.pattern))


def _pairs(target: ast.AST, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Starred):
        yield from _pairs(target.value, value)
    elif isinstance(target, ast.Tuple | ast.List):
        apart = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
        apart = apart and not any(isinstance(one, ast.Starred) for one in (*target.elts, *value.elts))  # type: ignore[attr-defined]
        for at, one in enumerate(target.elts):
            yield from _pairs(one, value.elts[at] if apart else value)  # type: ignore[attr-defined]


def _captured(pattern: ast.pattern) -> Iterator[str]:
    for node in ast.walk(pattern):
        if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest
