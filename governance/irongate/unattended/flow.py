"""Where the names of a function get their values. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from governance.irongate.unattended.names import NameKind, Names, chain
from governance.irongate.unattended.tables import GIVING_OUT, KEEPING, NAMES, TYPES
from governance.irongate.unattended.units import Scoped, Unit, heads

HANDED_ON = ("self", "cls")
SHOWS = (
    ast.IfExp,
    ast.BoolOp,
    ast.Tuple,
    ast.List,
    ast.Set,
    ast.Dict,
    ast.Subscript,
    ast.Starred,
    ast.NamedExpr,
    ast.ListComp,
    ast.SetComp,
    ast.GeneratorExp,
)
"""Expressions that give on what they are made of."""
MAKERS = frozenset({"list", "dict", "set", "sorted"})


class Flow:
    """``fresh``: names that stand for containers which the function itself has made, and for nothing else. ``made``:
    that may stand for one. ``texts``: for texts. ``numbers``: for what it computed. ``holders``: names that may stand
    for what can be called. ``calls``: by name, the calls that gave it a value.
    """

    def __init__(self, every: Sequence[Unit], names: Names, scope: str) -> None:
        self._names, self._scope = names, scope
        values: dict[str, list[ast.expr | None]] = {}
        for unit in every:
            for name, value in given_names(unit.node):
                values.setdefault(name, []).append(value)
        own = {one: of for one, of in values.items() if names.meaning(scope, one).kind is NameKind.LOCAL}
        own = {one: of for one, of in own.items() if not names.is_argument(scope, one)}
        self.fresh = frozenset(
            one for one, of in own.items() if all(value is not None and _makes(value) for value in of)
        )
        alias = (ast.Name, ast.Attribute, ast.Subscript)
        self.made = frozenset(one for one, of in own.items() if any(v is not None and _makes(v) for v in of))
        self.calls = {one: [call for value in of if (call := _call(value)) is not None] for one, of in values.items()}
        self.numbers = frozenset(one for one, of in own.items() if not any(isinstance(value, alias) for value in of))
        self.texts = frozenset(one for one, of in own.items() if all(v is not None and is_text(v) for v in of))
        holders = {one for one, of in values.items() if any(value is not None and self._holds(value) for value in of)}
        for _ in values:
            more = {
                one
                for one, of in values.items()
                if any(value is not None and assigned_places(value) & holders for value in of)
            }
            if more <= holders:
                break
            holders |= more
        self.holders = frozenset(holders)

    def _holds(self, value: ast.AST) -> bool:
        """Whether an expression hands on what is imported, defined or kept in the module, without calling it."""
        if isinstance(value, ast.Name):
            kind, target = self._names.meaning(self._scope, value.id)
            is_import = kind is NameKind.IMPORT and target not in NAMES
            is_odd = kind in (NameKind.FUNCTION, NameKind.CLASS, NameKind.UNKNOWN) and isinstance(value.ctx, ast.Load)
            is_table = kind is NameKind.VALUE and value.id not in self._names.data
            return is_import or is_odd or is_table or (kind is NameKind.BUILTIN and value.id not in TYPES)
        if isinstance(value, ast.Attribute):
            return (
                value.attr in self._names.methods
                or bool(self._names.dotted(self._scope, value))
                or self._holds(value.value)
            )
        if isinstance(value, ast.Lambda):
            return True
        return isinstance(value, SHOWS) and any(self._holds(child) for child in ast.iter_child_nodes(value))


def is_text(node: ast.expr) -> bool:
    """Whether an expression is a text for sure."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | bytes)
    if isinstance(node, ast.Call):
        func = node.func
        if isinstance(func, ast.Name):
            return func.id in ("str", "repr", "ascii", "hex", "bin", "oct", "chr")
        return isinstance(func, ast.Attribute) and is_text(func.value) and func.attr not in ("split", "rsplit", "count")
    if isinstance(node, ast.BinOp):
        return is_text(node.left)
    return isinstance(node, ast.JoinedStr)


def _makes(value: ast.expr) -> bool:
    """Whether an expression makes a new container."""
    if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in MAKERS


def _call(value: ast.expr | None) -> ast.Call | None:
    """The call that gives a value, also as a part of something."""
    inner = value.value if isinstance(value, ast.Starred) else value
    return inner if isinstance(inner, ast.Call) else None


def given_names(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Places that a statement gives a value, as written, with what they are given where that is known."""
    pairs: list[tuple[ast.AST, ast.expr | None]] = []
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        pairs = [(node.target, node.value)]
    elif isinstance(node, ast.For | ast.AsyncFor):
        pairs = [(node.target, node.iter)]
    elif isinstance(node, ast.With | ast.AsyncWith):
        pairs = [(item.optional_vars, item.context_expr) for item in node.items if item.optional_vars is not None]
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name, None
    whole = isinstance(node, ast.Assign | ast.AnnAssign)
    for target, value in pairs:
        if isinstance(target, ast.Name | ast.Attribute) and whole:
            yield chain(target), value
        else:
            for one in ast.walk(target):
                if isinstance(one, ast.Name | ast.Attribute) and (said := chain(one)) not in ("", *HANDED_ON):
                    yield said, _part_of(value)
    inside = (inner for part in heads(node) for inner in ast.walk(part)) if isinstance(node, ast.stmt) else ()
    for inner in inside if not isinstance(node, Scoped) else ():
        if isinstance(inner, ast.NamedExpr):
            yield inner.target.id, _part_of(inner.value)
        elif isinstance(inner, ast.Call) and (on := names_changed_by(inner)) is not None and chain(on):
            yield from ((chain(on), _part_of(arg)) for arg in inner.args)


def _part_of(value: ast.expr | None) -> ast.expr | None:
    """The same value as a part of something: it makes no container of the function's own."""
    return ast.Starred(value=value, ctx=ast.Load()) if value is not None else None


def assigned_places(node: ast.AST) -> set[str]:
    """Names and attributes, as written, from which an expression takes its value."""
    found = {said for one in ast.walk(node) if isinstance(one, ast.Name | ast.Attribute) if (said := chain(one))}
    return found - set(HANDED_ON)


def changed_objects(node: ast.AST) -> Iterator[str]:
    """Names and attributes, as written, whose objects a statement changes: by a method of containers, or in a part."""
    for part in heads(node) if not isinstance(node, Scoped) else ():
        for one in ast.walk(part):
            if isinstance(one, ast.Call) and (on := names_changed_by(one)) is not None:
                yield from shared_names(on)
            elif isinstance(one, ast.Attribute | ast.Subscript) and not isinstance(one.ctx, ast.Load):
                yield from shared_names(one.value)


def shared_names(node: ast.expr) -> set[str]:
    """Names and attributes, as written, of whose objects the value of an expression may be one."""
    if isinstance(node, ast.Starred):
        return shared_names(node.value)
    if isinstance(node, ast.Name | ast.Attribute):
        return {chain(node)} - {"", *HANDED_ON}
    if isinstance(node, ast.Subscript):
        return shared_names(node.value)
    if isinstance(node, ast.IfExp | ast.BoolOp):
        every = [node.body, node.orelse] if isinstance(node, ast.IfExp) else node.values
        return {name for one in every for name in shared_names(one)}
    if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
        held = node.values if isinstance(node, ast.Dict) else node.elts
        return {name for one in held for name in shared_names(one)}
    is_given_out = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in GIVING_OUT
    if is_given_out:
        return shared_names(node.func.value)  # type: ignore[attr-defined]
    return set()


def names_changed_by(call: ast.Call) -> ast.expr | None:
    """What a call changes by a method of a builtin container, as it is written; None where it is no such call."""
    func = call.func
    if not isinstance(func, ast.Attribute) or func.attr not in KEEPING or len(call.args) > 2:
        return None
    return func.value if all(word.arg in ("key", "reverse") for word in call.keywords) else None
