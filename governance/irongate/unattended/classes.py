"""Heads of classes, and special methods, whose change decides nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from governance.irongate.unattended.names import DUNDER, Names, dotted, imports, is_builtin, root_of, stores
from governance.irongate.unattended.tables import DECIDING, LOOKED_UP, PLAIN_CALLS, SHOWS, STATEFUL, UNDECIDING_BASES
from governance.irongate.unattended.units import Added, Function, fingerprint

KEEPS = frozenset({"__new__", "__setstate__"})
"""Special methods whose work is to give an object its values."""


def stays(node: ast.ClassDef, scope: str, replaced: Sequence[ast.AST], names: Names) -> bool:
    """Whether a class has the bases that it had, less what decides nothing, more classes of the file that do not."""
    before = [old for old in replaced if isinstance(old, ast.ClassDef) and old.name == node.name]
    if "*" in imports(names.old) or "*" in names.imports or len(before) != 1 or _marks(before[0]) != _marks(node):
        return False
    had, has = _bases(before[0], imports(names.old)), _bases(node, names.imports)
    still = [base for base in has if base in had]
    if still != [base for base in had if base in has] or len(set(has)) != len(has):
        return False
    gone, come = [base for base in had if base not in has], [base for base in has if base not in had]
    never = {_meaning(one, imports(names.old)) for one in before[0].bases if not scope and _is_unbound(one, names)}
    return all(base in never or _undeciding(base, names) for base in gone) and all(
        decides_nothing(base, names) for base in come
    )


def _is_unbound(base: ast.expr, names: Names) -> bool:
    """A base that no name of the module stands for: no such class was ever made."""
    root = root_of(base)
    return isinstance(root, ast.Name) and root.id not in names.top_before and not is_builtin(root.id)


def _marks(node: ast.ClassDef) -> list[str]:
    return [ast.dump(part) for part in (*node.decorator_list, *node.keywords)]


def _bases(node: ast.ClassDef, known: dict[str, str]) -> list[str]:
    return [_meaning(base, known) for base in node.bases]


def _meaning(base: ast.expr, known: dict[str, str]) -> str:
    return dotted(base, known) or ast.dump(base)


def _undeciding(base: str, names: Names) -> bool:
    return base in UNDECIDING_BASES or decides_nothing(base, names)


def decides_nothing(name: str, names: Names, below: frozenset[str] = frozenset()) -> bool:
    """Whether ``name`` is a class of the file, bound once, that has no special method of its own or from above."""
    found = [node for node in names.old.body if isinstance(node, ast.ClassDef) and node.name == name]
    once = all(list(stores([tree])).count(name) == 1 for tree in (names.old, names.new))
    if len(found) != 1 or not once or name in below or _marks(found[0]):
        return False
    bases = _bases(found[0], imports(names.old))
    own = set(stores(found[0].body))
    return not any(DUNDER.fullmatch(one) and one in DECIDING for one in own) and all(
        base in UNDECIDING_BASES or decides_nothing(base, names, below | {name}) for base in bases
    )


def changes_deciding(added: Added) -> Iterator[str]:
    """Special methods that a statement is part of and whose change decides comparison or runs unseen."""
    for part in added.unit.scope.split("."):
        if (part in DECIDING and not (part in LOOKED_UP and _only_answers(added))) or (part in SHOWS and _keeps(added)):
            yield part


def _keeps(added: Added) -> bool:
    """Whether a statement gives an object another value."""
    for inner in (inner for part in added.unit.parts() for inner in ast.walk(part)):
        if isinstance(inner, ast.Attribute | ast.Subscript) and not isinstance(inner.ctx, ast.Load):
            return True
        called = inner.func if isinstance(inner, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in STATEFUL and not isinstance(called.value, ast.Name):
            return True
    return False


def _only_answers(added: Added) -> bool:
    """A statement that gives another answer, and keeps, calls and starts nothing that was not there."""
    node, stores_too = added.unit.node, added.unit.scope.rpartition(".")[2] in KEEPS
    if not isinstance(node, ast.Return | ast.Raise | ast.If | ast.Pass | ast.Assign) or isinstance(node, Function):
        return False
    for inner in (inner for part in added.unit.parts() for inner in ast.walk(part)):
        if isinstance(inner, ast.Await | ast.Yield | ast.YieldFrom | ast.Lambda | ast.NamedExpr):
            return False
        if isinstance(inner, ast.Attribute | ast.Subscript) and not (stores_too or isinstance(inner.ctx, ast.Load)):
            return False
        if isinstance(inner, ast.Call) and fingerprint(inner) not in added.kept and not _plain_call(inner, node):
            return False
    return True


def _plain_call(call: ast.Call, node: ast.AST) -> bool:
    func = root_of(call.func)
    if not isinstance(call.func, ast.Name) or not isinstance(func, ast.Name) or call.keywords:
        return False
    return func.id in PLAIN_CALLS or (isinstance(node, ast.Raise) and node.exc is call and func.id.endswith("Error"))
