"""How a test module changed: did it only gain tests, or may it prove less than before?

In a test that was there, new assertions may be added and nothing else may change: whatever else is touched (an
assertion, a literal, the set-up, a mark, a helper, a fixture) could make it pass without the code being right. An
assertion before others may do nothing but compare; what new names can reach is ``testnames.py``.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from governance.irongate.syntax import dump, parse, source, without_docstrings
from governance.irongate.test_code.names import Function, Scope, why_affecting
from governance.irongate.test_code.tampering import why_tampering

PURE = frozenset({"len", "isinstance", "issubclass", "type", "abs", "round", "bool", "int", "float", "callable", "id"})
"""Builtins that take nothing out of what they are given."""


def find_weakened(before: bytes, after: bytes | None) -> tuple[str, ...]:
    """What may prove less now, one phrase each; empty when the module only gained tests (or did not change)."""
    if after is None:
        return ("the file is deleted",)
    if before == after:
        return ()
    old, new = parse(before), parse(after)
    if new is None:
        return ("the file does not parse",)
    if dump(new) is None or (old is not None and dump(old) is None):
        return ("the file is nested too deeply to be compared",)
    if old is None:
        return ("the file did not parse before and cannot be compared",)
    old, new = without_docstrings(old), without_docstrings(new)
    return tuple(dict.fromkeys(_scope(old, new, "", whole=old)))


def _key(node: ast.stmt) -> str | None:
    """The name that a statement binds, where it is a plain definition or assignment."""
    if isinstance(node, Function | ast.ClassDef):
        return node.name
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return None


def _imported(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.split(".")[0]


def _names(body: Sequence[ast.stmt]) -> Counter[str]:
    names = Counter(key for node in body if (key := _key(node)))
    for node in body:
        names.update(_imported(node))
    return names


def _scope(old: Scope, new: Scope, prefix: str, *, whole: ast.Module) -> Iterator[str]:
    """Compare what a module or class holds, by name; what has no name must stay as it was."""
    before, after = {_key(n): n for n in old.body if _key(n)}, {_key(n): n for n in new.body if _key(n)}
    for name, node in before.items():
        label = f"{prefix}{name}"
        other = after.get(name)
        if other is None:
            yield f"{label} is gone"
        elif isinstance(node, ast.ClassDef) and isinstance(other, ast.ClassDef):
            if _head(node) != _head(other):
                yield f"{label} has other bases or marks"
            yield from _scope(node, other, f"{label}.", whole=whole)
        elif isinstance(node, Function) and isinstance(other, Function):
            yield from _function(node, other, label, whole)
        elif dump(node) != dump(other):
            yield f"{label} is changed"
    yield from _unnamed(old, new, prefix)
    had = _names(old.body)
    for name, count in _names(new.body).items():
        if name in had and count > had[name]:
            yield f"{prefix}{name} is defined again, over the one that was there"
        elif name not in had and (why := why_affecting(old, name, after.get(name), whole=whole)):
            yield f"{prefix}{name} {why}"


def _head(node: ast.ClassDef) -> list[str | None]:
    return [dump(part) for part in (*node.bases, *node.keywords, *node.decorator_list)]


def _unnamed(old: Scope, new: Scope, prefix: str) -> Iterator[str]:
    """Statements without a name: those that were there must stay, new ones may only be imports."""
    gone = Counter(dump(n) for n in old.body if not _key(n))
    for node in new.body:
        text = dump(node)
        if _key(node) is None and gone[text] > 0:
            gone[text] -= 1
        elif _key(node) is None and not isinstance(node, ast.Import | ast.ImportFrom | ast.Pass) and not _is_main(node):
            yield f"{prefix or 'the module '}runs new code when it is loaded (line {node.lineno})"
    if any(count > 0 for text, count in gone.items() if text != dump(ast.Pass())):
        yield f"{prefix or 'the module '}lost an import or a statement"


def _is_main(node: ast.stmt) -> bool:
    """``if __name__ == "__main__":`` does nothing under a test runner."""
    return isinstance(node, ast.If) and not node.orelse and source(node.test) == "__name__ == '__main__'"


def _function(old: Function, new: Function, label: str, whole: ast.Module) -> Iterator[str]:
    if dump(old) == dump(new):
        return
    if type(old) is not type(new) or dump(old.args) != dump(new.args):
        yield f"{label} has other arguments"
    if [dump(d) for d in old.decorator_list] != [dump(d) for d in new.decorator_list]:
        yield f"{label} has other marks or parameters"
    if label.rsplit(".", 1)[-1].startswith("test"):
        known = _Known(frozenset(_bound(old)), frozenset(_modules(whole)))
        yield from _statements(old.body, new.body, label, known)
    elif [dump(s) for s in old.body] != [dump(s) for s in new.body]:
        yield f"{label}, which tests rely on, is changed"


def _bound(function: Function) -> Iterator[str]:
    """Names that a function gives a value itself: not its arguments, and nothing that others know."""
    for part in ast.walk(function):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id


def _modules(tree: ast.Module) -> Iterator[str]:
    return (n for step in tree.body if isinstance(step, ast.Import) for n in _imported(step))


class _Known(NamedTuple):
    """Names that a test has bound itself, and those of modules that its own module imports."""

    local: frozenset[str]
    modules: frozenset[str]


def _statements(old: Sequence[ast.stmt], new: Sequence[ast.stmt], label: str, known: _Known) -> Iterator[str]:
    """Every old statement must still be there, in order; between them only assertions may be new."""
    wanted = [dump(s) for s in old]
    at = 0
    for node in new:
        if at < len(wanted) and dump(node) == wanted[at]:
            at += 1
        elif not _is_assertion(node):
            yield f"{label} has a new or changed statement that is no assertion (line {node.lineno})"
        elif not (_is_still(node) or (at == len(wanted) and _touches_only(node, known))):
            yield f"{label} has a new assertion that may do more than compare (line {node.lineno})"
    if at < len(wanted):
        lost = "an assertion" if any(_holds_assertion(s) for s in old[at:]) else "a statement"
        yield f"{label} lost or changed {lost}"


def _is_assertion(node: ast.stmt) -> bool:
    """An ``assert`` or a unittest assertion that binds no name and reaches for nothing."""
    if any(isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) for part in ast.walk(node)):
        return False
    if why_tampering(node):
        return False
    return isinstance(node, ast.Assert) or _is_unittest(node)


def _is_still(node: ast.stmt) -> bool:
    """Whether an assertion changes nothing for later ones: no method is called, nothing is looked up in a table
    that might make an entry, nothing gone through that might be used up, and functions get literals alone.
    """
    own = node.value if isinstance(node, ast.Expr) else None
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript | ast.Starred | ast.In | ast.NotIn | ast.comprehension | ast.Lambda):
            return False
        if isinstance(part, ast.Call) and part is not own and not _is_still_call(part):
            return False
    return own is None or not _calls_what_it_gets(own)


def _is_still_call(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Name):
        return False
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    names = (part for each in arguments for part in ast.walk(each) if isinstance(part, ast.Name | ast.Attribute))
    return call.func.id in PURE or not any(names)


def _calls_what_it_gets(assertion: ast.expr) -> bool:
    """``self.assertRaises(error, function, ...)`` and the like, and those that go through what they are given."""
    name = assertion.func.attr if isinstance(assertion, ast.Call) and isinstance(assertion.func, ast.Attribute) else ""
    return any(word in name for word in ("Raises", "Warns", "Logs", "In", "Count", "Regex"))


def _touches_only(node: ast.stmt, known: _Known) -> bool:
    """Whether an assertion after all others calls functions, and methods of what the test has made, and no others."""
    own = node.value if isinstance(node, ast.Expr) else None
    calls = (part.func for part in ast.walk(node) if isinstance(part, ast.Call) and part is not own)
    return all(isinstance(func, ast.Name) or _root(func) in known.local or _is_of_module(func, known) for func in calls)


def _is_of_module(func: ast.expr, known: _Known) -> bool:
    return isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id in known.modules


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_unittest(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    func = node.value.func
    return (
        isinstance(func, ast.Attribute)
        and func.attr.startswith("assert")
        and isinstance(func.value, ast.Name)
        and func.value.id == "self"
    )


def _holds_assertion(node: ast.stmt) -> bool:
    return any(isinstance(part, ast.Assert) or _is_unittest(part) for part in ast.walk(node))
