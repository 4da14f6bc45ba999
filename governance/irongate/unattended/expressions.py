"""Checks expressions that a change adds: known values, operators and calls without effect outside the program pass.

Pure. Subexpressions that the same function had before pass unchecked, except the names of called functions: a function
that was called before may still not be passed on as a value.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from governance.irongate.syntax import source
from governance.irongate.unattended.calls import CLASSES, Calls
from governance.irongate.unattended.literals import Literals
from governance.irongate.unattended.names import NameKind
from governance.irongate.unattended.tables import (
    ATTRIBUTES,
    BUILTINS,
    CALLABLES,
    CALLBACK_POSITION,
    DUNDER_FIELDS,
    HASATTR_NAMES,
    INTROSPECTION_ATTRIBUTES,
    NAMES,
    PATTERN_FUNCTIONS,
    TYPES,
)
from governance.irongate.unattended.units import Found, fingerprint

PLAIN = (
    ast.expr_context,
    ast.boolop,
    ast.unaryop,
    ast.cmpop,
    ast.BoolOp,
    ast.UnaryOp,
    ast.Compare,
    ast.IfExp,
    ast.Subscript,
    ast.Slice,
    ast.Tuple,
    ast.List,
    ast.Set,
    ast.Dict,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.comprehension,
    ast.Starred,
    ast.JoinedStr,
)
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr, ast.BitXor)


class Expressions:
    """Judges the expressions that a change adds to one function, or to a module or class outside of functions.

    ``kept``: fingerprints of the old parts. ``near``: the old numbers. ``fields``: attributes that the file reads.
    ``classes``: names that the file tests for, raises or catches.
    """

    def __init__(
        self,
        calls: Calls,
        literals: Literals,
        *,
        kept: Collection[bytes],
        near: Collection[float],
        fields: Collection[str],
        classes: Collection[str],
    ) -> None:
        self.calls, self._literals, self._kept, self._near = calls, literals, kept, near
        self._fields, self._classes = fields, classes

    def problems(self, node: ast.AST, *, in_condition: bool = False, in_error: bool = False) -> Iterator[Found]:
        """Every part of ``node`` that is not allowed. ``node`` may be part of a condition or an error message."""
        if isinstance(node, ast.expr) and fingerprint(node) in self._kept:
            return
        if isinstance(node, ast.Constant):
            yield from self._literals.problems(node, near=self._near, in_condition=in_condition, in_error=in_error)
        elif isinstance(node, ast.Name):
            yield from self._name(node)
        elif isinstance(node, ast.Attribute):
            yield from self._attribute(node)
        elif isinstance(node, ast.Call):
            yield from self._call(node, in_condition)
        elif isinstance(node, ast.BinOp):
            if not isinstance(node.op, OPERATORS):
                yield "syntax", f"computes with {type(node.op).__name__}"
            if _is_made_of_literals(node):
                yield "value", "builds a value from literals alone"
            yield from self._inner(node, in_condition, in_error)
        elif isinstance(node, ast.FormattedValue):
            if node.format_spec is not None and not all(isinstance(p, ast.Constant) for p in _parts(node.format_spec)):
                yield "syntax", "computes a format specification"
            yield from self.problems(node.value, in_condition=in_condition)
        elif isinstance(node, PLAIN):
            yield from self._inner(
                node, in_condition or isinstance(node, ast.Compare | ast.BoolOp | ast.comprehension), in_error
            )
        elif not isinstance(node, ast.operator):
            yield "syntax", f"adds {type(node).__name__}, which is not an allowed expression"

    def _inner(self, node: ast.AST, in_condition: bool, in_error: bool) -> Iterator[Found]:
        if isinstance(node, ast.Dict) and None in node.keys:
            yield "syntax", "unpacks a dictionary with **"
        if isinstance(node, ast.comprehension) and node.is_async:
            yield "syntax", "loops asynchronously"
        for child in ast.iter_child_nodes(node):
            in_test = in_condition or (isinstance(node, ast.IfExp) and child is node.test)
            yield from self.problems(
                child,
                in_condition=in_test,
                in_error=in_error and isinstance(node, ast.JoinedStr | ast.BinOp | ast.Tuple),
            )

    def _name(self, node: ast.Name) -> Iterator[Found]:
        kind, target = self.calls.meaning(node.id)
        if isinstance(node.ctx, ast.Store):
            if kind is not NameKind.LOCAL:
                yield "name", f"rebinds {node.id}"
        elif kind is NameKind.IMPORT:
            if target not in NAMES:
                yield "name", f"passes {node.id} on, which is imported"
        elif kind is NameKind.BUILTIN:
            if node.id not in TYPES and node.id not in ("NotImplemented", "Ellipsis"):
                yield "name", f"passes {node.id} on"
        elif kind is NameKind.CLASS:
            if node.id not in self._classes:
                yield "name", f"passes the class {node.id} on"
        elif kind is NameKind.VALUE and node.id not in self.calls.names.data:
            yield "name", f"passes {node.id} on, which may be or contain something callable"
        elif kind not in (NameKind.LOCAL, NameKind.VALUE):
            yield "name", f"uses {node.id}, which is {kind.value}"

    def _attribute(self, node: ast.Attribute) -> Iterator[Found]:
        dotted = self.calls.dotted(node)
        if dotted:
            if dotted not in NAMES:
                yield "attribute", f"uses {dotted}"
            return
        name = node.attr
        receiver = node.value
        if name in DUNDER_FIELDS and isinstance(receiver, ast.Attribute) and receiver.attr == "__class__":
            node = receiver
        if name.startswith("__") and name not in DUNDER_FIELDS:
            yield "attribute", f"uses .{name}"
        elif name in INTROSPECTION_ATTRIBUTES or (
            name not in self._fields and name not in ATTRIBUTES and name not in DUNDER_FIELDS
        ):
            yield "attribute", f"uses .{name}, which this file does not use"
        yield from self._receiver(node.value)

    def _receiver(self, node: ast.AST) -> Iterator[Found]:
        """Problems of the object whose attribute is read or whose method is called."""
        if isinstance(node, ast.Name):
            kind, _ = self.calls.meaning(node.id)
            if kind in (NameKind.UNKNOWN, NameKind.FUNCTION, NameKind.IMPORT) and fingerprint(node) not in self._kept:
                yield "name", f"uses {node.id}, which is {kind.value}"
        else:
            yield from self.problems(node)

    def _call(self, node: ast.Call, in_condition: bool) -> Iterator[Found]:
        func = node.func
        callee = source(func)[:60] or "something"
        if self.calls.scope and self.calls.dotted(func) == "re.compile":
            yield "call", "compiles a pattern inside a function, where its text can be read as a value"
        if self.calls.is_open(node):
            yield "call", f"calls {callee}, which may have effects outside the program"
            return
        if isinstance(func, ast.Attribute) and not self.calls.dotted(func):
            is_super = isinstance(func.value, ast.Call) and isinstance(func.value.func, ast.Name)
            if not (is_super and func.value.func.id == "super"):  # type: ignore[attr-defined]
                yield from self._receiver(func.value)
        if _is_made_of_literals(node):
            yield "value", "builds a value from literals alone"
        yield from self.arguments(node, in_condition=in_condition)

    def arguments(self, node: ast.Call, *, in_condition: bool = False) -> Iterator[Found]:
        """Every part of a call's arguments that is not allowed."""
        func = node.func
        name = func.id if isinstance(func, ast.Name) else ""
        dotted = self.calls.dotted(func)
        for at, arg in enumerate(node.args):
            if at == 0 and dotted in PATTERN_FUNCTIONS and isinstance(arg, ast.Constant):
                yield from self._pattern(arg, in_condition)
            elif CALLBACK_POSITION.get(dotted or name) == at:
                yield from self._callable(arg, in_condition)
            elif at == 1 and name in CLASSES:
                yield from self._class(arg)
            elif at == 1 and name in ("getattr", "hasattr"):
                yield from self._field(arg)
            else:
                yield from self.problems(arg, in_condition=in_condition)
        for word in node.keywords:
            if word.arg in ("key", "func"):
                yield from self._callable(word.value, in_condition)
            else:
                yield from self.problems(word.value, in_condition=in_condition)

    def _pattern(self, node: ast.Constant, in_condition: bool) -> Iterator[Found]:
        if fingerprint(node) not in self._kept:
            yield from self._literals.problems(node, near=self._near, in_condition=in_condition, is_pattern=True)

    def _callable(self, node: ast.expr, in_condition: bool) -> Iterator[Found]:
        """Problems of an argument that is called: allowed are listed builtins, lambdas and the function's arguments."""
        if fingerprint(node) in self._kept:
            return
        if isinstance(node, ast.Lambda):
            if node.args.defaults or node.args.kw_defaults:
                yield "syntax", "gives a lambda defaults"
            yield from self.problems(node.body, in_condition=in_condition)
        elif isinstance(node, ast.Name) and self.calls.meaning(node.id).kind is NameKind.BUILTIN:
            if node.id not in CALLABLES:
                yield "name", f"passes {node.id} on"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "str":
            if node.attr not in ("lower", "upper", "casefold", "strip"):
                yield "attribute", f"passes str.{node.attr} on"
        elif not self.calls.is_handed(node) and not (
            isinstance(node, ast.Constant) and isinstance(node.value, str | None)
        ):
            yield "call", "passes on something that will be called"
        else:
            yield from self.problems(node, in_condition=in_condition)

    def _class(self, node: ast.expr) -> Iterator[Found]:
        """Problems of the second argument of ``isinstance``: it may name builtin types and classes of the file."""
        for one in node.elts if isinstance(node, ast.Tuple) else [node]:
            if fingerprint(one) in self._kept:
                continue
            if isinstance(one, ast.Name):
                kind, target = self.calls.meaning(one.id)
                is_type = kind is NameKind.BUILTIN and (one.id in TYPES or one.id in BUILTINS)
                if not is_type and kind is not NameKind.CLASS and target not in NAMES and one.id not in self._classes:
                    yield "name", f"tests for {one.id}"
            else:
                yield from self.problems(one)

    def _field(self, node: ast.expr) -> Iterator[Found]:
        name = node.value if isinstance(node, ast.Constant) else None
        known = name in self._fields or name in ATTRIBUTES or name in HASATTR_NAMES
        if fingerprint(node) not in self._kept and not known:
            yield "attribute", f"looks up the attribute {name!r}, which this file does not use"


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.values if isinstance(node, ast.JoinedStr) else [node]


def _is_made_of_literals(node: ast.expr) -> bool:
    """An expression that computes something and whose leaves are literals alone."""
    literals, names = _leaves(node)
    return literals and not names


def _leaves(node: ast.AST) -> tuple[bool, bool]:
    """Whether an expression has literals as leaves, and whether it has names; the name of a called function is ignored.

    Cached on the node, because each call of a chain needs it; expressions never change.
    """
    known: tuple[bool, bool] | None = getattr(node, "_leaves", None)
    if known is None:
        literals, names = isinstance(node, ast.Constant), isinstance(node, ast.Name)
        for child in ast.iter_child_nodes(node):
            if isinstance(node, ast.Call) and child is node.func and isinstance(child, ast.Name | ast.Constant):
                continue
            more = _leaves(child)
            literals, names = literals or more[0], names or more[1]
        known = literals, names
        if isinstance(node, ast.expr):
            node._leaves = known  # type: ignore[attr-defined]
    return known
