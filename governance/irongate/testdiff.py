"""How a test module changed: did it only gain tests, or may it prove less than before?

In a test that was there, new assertions may be added and nothing else may change: whatever else is touched (an
assertion, a literal, the set-up, a mark, a helper, a fixture) could make it pass without the code being right.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence

from governance.irongate.syntax import dump, parse, source, without_docstrings
from governance.irongate.tampering import tampering

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.ClassDef
HOOK = "pytest_"
MARKS = frozenset({"pytestmark", "pytest_plugins", "collect_ignore", "collect_ignore_glob", "__test__"})


def weakened(before: bytes, after: bytes | None) -> tuple[str, ...]:
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
    return tuple(dict.fromkeys(_scope(without_docstrings(old), without_docstrings(new), "")))


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


def _scope(old: Scope, new: Scope, prefix: str) -> Iterator[str]:
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
            yield from _scope(node, other, f"{label}.")
        elif isinstance(node, Function) and isinstance(other, Function):
            yield from _function(node, other, label)
        elif dump(node) != dump(other):
            yield f"{label} is changed"
    yield from _unnamed(old, new, prefix)
    had = _names(old.body)
    for name, count in _names(new.body).items():
        if name in had and count > had[name]:
            yield f"{prefix}{name} is defined again, over the one that was there"
        elif name not in had and (name in MARKS or name.startswith(HOOK)):
            yield f"{prefix}{name} is new and changes what the runner does"
        elif name not in had and name in after and _is_autouse(after[name]):
            yield f"{prefix}{name} is a new fixture that every test gets"
        elif name not in had and name in after and (why := tampering(after[name])):
            yield f"{prefix}{name} is new and {why}"


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


def _is_autouse(node: ast.stmt | None) -> bool:
    return isinstance(node, Function) and any("autouse" in (dump(d) or "") for d in node.decorator_list)


def _function(old: Function, new: Function, label: str) -> Iterator[str]:
    if dump(old) == dump(new):
        return
    if type(old) is not type(new) or dump(old.args) != dump(new.args):
        yield f"{label} has other arguments"
    if [dump(d) for d in old.decorator_list] != [dump(d) for d in new.decorator_list]:
        yield f"{label} has other marks or parameters"
    if label.rsplit(".", 1)[-1].startswith("test"):
        yield from _statements(old.body, new.body, label)
    elif [dump(s) for s in old.body] != [dump(s) for s in new.body]:
        yield f"{label}, which tests rely on, is changed"


def _statements(old: Sequence[ast.stmt], new: Sequence[ast.stmt], label: str) -> Iterator[str]:
    """Every old statement must still be there, in order; between them only assertions may be new."""
    wanted = [dump(s) for s in old]
    at = 0
    for node in new:
        if at < len(wanted) and dump(node) == wanted[at]:
            at += 1
        elif not _is_assertion(node):
            yield f"{label} has a new or changed statement that is no assertion (line {node.lineno})"
    if at < len(wanted):
        lost = "an assertion" if any(_holds_assertion(s) for s in old[at:]) else "a statement"
        yield f"{label} lost or changed {lost}"


def _is_assertion(node: ast.stmt) -> bool:
    """An ``assert`` or a unittest assertion that binds no name and reaches for nothing."""
    if any(isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) for part in ast.walk(node)):
        return False
    if tampering(node):
        return False
    return isinstance(node, ast.Assert) or _is_unittest(node)


def _is_unittest(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    func = node.value.func
    return isinstance(func, ast.Attribute) and func.attr.startswith("assert")


def _holds_assertion(node: ast.stmt) -> bool:
    return any(isinstance(part, ast.Assert) or _is_unittest(part) for part in ast.walk(node))
