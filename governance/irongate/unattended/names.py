"""Name resolution: the meaning of a name at its place, by Python's scope rules. Pure."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from governance.irongate.unattended.units import ROOT, Function, Scoped


class NameKind(Enum):
    """What a name refers to."""

    LOCAL = "a value of the function"
    VALUE = "a value of the module"
    IMPORT = "an import"
    FUNCTION = "a function"
    CLASS = "a class"
    BUILTIN = "a builtin"
    UNKNOWN = "nothing that is known"


class Meaning(NamedTuple):
    """``target``: of an import, its dotted name (a relative one begins with dots); else the name."""

    kind: NameKind
    target: str


class Names:
    """The bindings of one file, by qualified scope. A name that one scope binds in several ways is unknown there."""

    def __init__(self, tree: ast.Module) -> None:
        self._bound: dict[str, dict[str, set[Meaning]]] = {ROOT: {}}
        self._classes: set[str] = set()
        self._arguments: dict[str, set[str]] = {}
        self._outside: dict[str, set[str]] = {}
        left: list[tuple[str, ast.AST]] = [(ROOT, node) for node in reversed(tree.body)]
        while left:
            scope, node = left.pop()
            for name, meaning in _binds(node, is_module=scope == ROOT or scope in self._classes):
                self._bound[scope].setdefault(name, set()).add(meaning)
            if isinstance(node, ast.Global):
                self._outside.setdefault(scope, set()).update(node.names)
            if isinstance(node, Scoped):
                inner = f"{scope}.{node.name}".strip(".")
                here = self._bound.setdefault(inner, {})
                if isinstance(node, ast.ClassDef):
                    self._classes.add(inner)
                    left += [(scope, one) for one in (*node.decorator_list, *node.bases, *node.keywords)]
                else:
                    for arg in ast.walk(node.args):
                        if isinstance(arg, ast.arg):
                            here.setdefault(arg.arg, set()).add(Meaning(NameKind.LOCAL, arg.arg))
                            self._arguments.setdefault(inner, set()).add(arg.arg)
                    outer = (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults))
                    left += [(scope, one) for one in outer]
                left += [(inner, one) for one in reversed(node.body)]
            else:
                left += [(scope, one) for one in reversed(list(ast.iter_child_nodes(node)))]
        self.data = frozenset(_data(tree))
        """Values of the module that are plain: literals and containers of literals."""
        self.methods = frozenset(
            node.name
            for outer in ast.walk(tree)
            if isinstance(outer, ast.ClassDef)
            for node in outer.body
            if isinstance(node, Function) and not node.decorator_list
        )
        """Names under which classes of this file have functions that are called."""
        self._global = {name for names in self._outside.values() for name in names}

    def meaning(self, scope: str, name: str) -> Meaning:
        """What ``name`` means in ``scope`` (a qualified name; empty: the module)."""
        parts = scope.split(".") if scope else []
        for at in range(len(parts), 0, -1):
            around = ".".join(parts[:at])
            if around not in self._bound or (around in self._classes and at < len(parts)):
                continue  # the names of a class are not seen from its methods
            if name in self._outside.get(around, ()):
                break
            if name in self._bound[around]:
                return _one(self._bound[around][name], name)
        if name in self._bound[ROOT]:
            return Meaning(NameKind.UNKNOWN, name) if name in self._global else _one(self._bound[ROOT][name], name)
        return Meaning(NameKind.BUILTIN if name in vars(builtins) else NameKind.UNKNOWN, name)

    def dotted(self, scope: str, node: ast.AST) -> str:
        """The dotted name of what is imported; empty for all else."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        found = self.meaning(scope, node.id)
        return ".".join([found.target, *reversed(parts)]) if found.kind is NameKind.IMPORT else ""

    def is_bound(self, scope: str, name: str) -> bool:
        """Whether this very scope binds the name."""
        return name in self._bound.get(scope, ())

    def is_argument(self, scope: str, name: str) -> bool:
        """Whether a function is handed the value of this name."""
        return name in self._arguments.get(scope, ())

    def bound_in(self, scope: str) -> set[str]:
        """The names that this very scope binds."""
        return set(self._bound.get(scope, ()))


def _data(tree: ast.Module) -> Iterator[str]:
    given: dict[str, list[ast.expr | None]] = {}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign):
                given.setdefault(target.id, []).append(node.value)
    plain = (ast.Constant, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.UnaryOp, ast.unaryop, ast.expr_context)
    for name, values in given.items():
        if len(values) == 1 and values[0] is not None and all(isinstance(n, plain) for n in ast.walk(values[0])):
            yield name


def _one(found: set[Meaning], name: str) -> Meaning:
    kinds = {one.kind for one in found}
    if kinds == {NameKind.LOCAL} or kinds == {NameKind.VALUE} or len(found) == 1:
        return next(iter(found))
    return Meaning(NameKind.UNKNOWN, name)


def _binds(node: ast.AST, *, is_module: bool) -> Iterator[tuple[str, Meaning]]:
    """The names that this node itself binds."""
    value = NameKind.VALUE if is_module else NameKind.LOCAL
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id, Meaning(value, node.id)
    elif isinstance(node, Function):
        yield node.name, Meaning(NameKind.FUNCTION, node.name)
    elif isinstance(node, ast.ClassDef):
        yield node.name, Meaning(NameKind.CLASS, node.name)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield alias.asname or top, Meaning(NameKind.IMPORT, alias.name if alias.asname else top)
    elif isinstance(node, ast.ImportFrom):
        dots = "." * node.level
        for alias in node.names:
            whole = f"{dots}{node.module}.{alias.name}" if node.module else f"{dots}{alias.name}"
            yield alias.asname or alias.name, Meaning(NameKind.IMPORT, whole)
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name, Meaning(value, node.name)
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest, Meaning(value, node.rest)
    elif isinstance(node, ast.arg):  # of a lambda
        yield node.arg, Meaning(value, node.arg)


def root_of(node: ast.AST) -> ast.AST:
    """What an attribute or item hangs on in the end."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node


def chain(node: ast.AST) -> str:
    """A name with its attributes as it is written; empty where it is anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def module_of(path: str, name: str) -> str:
    """A module as ``path`` imports it (``..a.b``), by the folders of the tree: ``src.shop.a.b``."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    folders = path.split("/")[:-1]
    return ".".join([*folders[: len(folders) - level + 1], *filter(None, [name.lstrip(".")])])
