"""Attributes by a name that is looked up, and the class of an object: where that is harmless."""

from __future__ import annotations

import ast
from collections.abc import Collection

from governance.irongate.unattended.names import Names, dotted, looped_texts, root_of
from governance.irongate.unattended.units import Added


def looked_up(asked: ast.expr | None, added: Added, names: Names) -> tuple[str, ...]:
    """The texts that a name to look up may be: a literal, or what a loop over literals runs through."""
    if isinstance(asked, ast.Constant):
        return (asked.value,) if isinstance(asked.value, str) else ()
    function = names.scopes.get(added.unit.scope)
    return looped_texts(function, asked.id) if isinstance(asked, ast.Name) and function is not None else ()


def same_lookup(
    node: ast.Call, asked: ast.expr | None, added: Added, names: Names, rebound: Collection[tuple[str, str]]
) -> bool:
    """The name that was looked up before, in something that the function was given."""
    if asked is None or not is_constant(node.args[0]) or isinstance(node.args[0], ast.Constant):
        return False
    root, scope = root_of(node.args[0]), added.unit.scope
    used = {one.id for one in (root, *ast.walk(asked)) if isinstance(one, ast.Name)}
    outer = names.top | frozenset(names.imports)
    if not isinstance(root, ast.Name) or root.id in outer or any((scope, name) in rebound for name in used):
        return False
    had = (
        ast.dump(call.args[1])
        for unit in added.replaced
        for part in unit.parts()
        for call in ast.walk(part)
        if isinstance(call, ast.Call) and dotted(call.func, {}) == "getattr" and len(call.args) > 1
    )
    return ast.dump(asked) in had


def asks_class(node: ast.Attribute, above: ast.AST | None) -> bool:
    """``__class__`` for its name, in a comparison, for ``isinstance``, or to make another of the same kind."""
    if isinstance(above, ast.Attribute):
        return above.attr in ("__name__", "__qualname__")
    if isinstance(above, ast.Call) and above.func is not node:
        return dotted(above.func, {}) in ("isinstance", "issubclass")
    return isinstance(above, ast.Compare) or (isinstance(above, ast.Call) and makes_own_kind(above))


def makes_own_kind(node: ast.Call) -> bool:
    """``self.__class__(...)`` or ``type(self)(...)``: not as a class is made, of a name, bases and what it holds."""
    func = node.func
    if isinstance(func, ast.Call):
        own = dotted(func.func, {}) == "type" and len(func.args) == 1 and not func.keywords
        of = func.args[0] if own else None
    else:
        of = func.value if isinstance(func, ast.Attribute) and func.attr == "__class__" else None
    made = len(node.args) == 3 or any(isinstance(one, ast.Starred) for one in node.args)
    return isinstance(of, ast.Name) and of.id == "self" and not made and all(word.arg for word in node.keywords)


def is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple):
        return all(map(is_constant, node.elts))
    if isinstance(node, ast.UnaryOp):
        return is_constant(node.operand)
    return isinstance(node, ast.Constant | ast.Name) or (isinstance(node, ast.Attribute) and is_constant(node.value))
