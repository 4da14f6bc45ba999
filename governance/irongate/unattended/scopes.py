"""Where a name of a file is bound: Python's own rule, asked from the place where the name stands. Pure.

A set of all names of a file would let a method ``open`` of one class stand for the builtin everywhere else.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from governance.irongate.unattended.units import ROOT, Function, Scoped


class Bound(Enum):
    """Where the value of a name comes from."""

    LOCAL = "local"
    AROUND = "a function around"
    MODULE = "module"
    NOWHERE = "nowhere"  # a builtin, or a name that is missing


@dataclass(slots=True)
class _Scope:
    is_class: bool
    bound: Counter[str] = field(default_factory=Counter)
    outside: set[str] = field(default_factory=set)  # named by global
    definitions: set[str] = field(default_factory=set)


class Scopes:
    """The bindings of one file, a scope each. Scopes of one qualified name count as one."""

    def __init__(self, tree: ast.Module) -> None:
        self._imported = frozenset(
            alias.asname or alias.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        )
        self._of: dict[str, _Scope] = {ROOT: _Scope(is_class=True)}
        left: list[tuple[str, ast.AST]] = [(ROOT, node) for node in reversed(tree.body)]
        while left:
            scope, node = left.pop()
            here = self._of[scope]
            if isinstance(node, Scoped):
                here.bound[node.name] += 1
                here.definitions.add(node.name)
                inner = f"{scope}.{node.name}".strip(".")
                known = self._of.setdefault(inner, _Scope(is_class=isinstance(node, ast.ClassDef)))
                if isinstance(node, Function):
                    known.is_class = False
                    known.bound.update(arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg))
                    left += [(scope, one) for one in _outer_parts(node)]
                else:
                    left += [(scope, one) for one in (*node.decorator_list, *node.bases, *node.keywords)]
                left += [(inner, one) for one in reversed(node.body)]
                continue
            if isinstance(node, ast.Global):
                here.outside.update(node.names)
            here.bound.update(_binds(node))
            left += [(scope, one) for one in ast.iter_child_nodes(node)]

    def where(self, scope: str, name: str) -> Bound:
        """Where ``name`` is found from a statement that stands in ``scope`` (a qualified name; empty: the module)."""
        parts = scope.split(".") if scope else []
        for at in range(len(parts), 0, -1):
            known = self._of.get(".".join(parts[:at]))
            if known is None or (known.is_class and at < len(parts)):
                continue  # the names of a class are not seen from its methods
            if name in known.outside:
                break
            if known.bound[name]:
                return Bound.LOCAL if at == len(parts) else Bound.AROUND
        return Bound.MODULE if self._of[ROOT].bound[name] else Bound.NOWHERE

    def defines(self, name: str) -> bool:
        """Whether the module defines or imports the name, and does not only give it a value."""
        return name in self._of[ROOT].definitions or name in self._imported

    def is_imported(self, name: str) -> bool:
        """Whether an import anywhere in the file gives the name."""
        return name in self._imported

    def binds(self, scope: str, name: str) -> bool:
        """Whether this very scope binds the name."""
        return scope in self._of and bool(self._of[scope].bound[name])

    def again(self, before: Scopes) -> Iterator[tuple[str, str]]:
        """Names that a module or class binds more often than before, or in place of a definition: scope and name."""
        for scope, here in self._of.items():
            if not here.is_class:
                continue
            old = before._of.get(scope, _Scope(is_class=True))
            for name, times in here.bound.items():
                replaced = name in old.definitions and name not in here.definitions
                if times and name != "__all__" and (replaced or times > max(old.bound[name], 1)):
                    yield scope, name


def _outer_parts(node: Function) -> Iterator[ast.AST]:
    """What of a function is evaluated outside of it."""
    yield from node.decorator_list
    yield from node.args.defaults
    yield from (one for one in node.args.kw_defaults if one is not None)


def _binds(node: ast.AST) -> Iterator[str]:
    """The names that this node itself binds."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest
