"""What a change may do outside of functions: import what is harmless, give plain data to a name. Pure."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from governance.irongate.unattended.calls import Calls
from governance.irongate.unattended.expressions import Expressions
from governance.irongate.unattended.names import Kind, Names
from governance.irongate.unattended.tables import MODULES, NAMES
from governance.irongate.unattended.units import Found, Function, Unit, fingerprint

IMPORTS = (ast.Import, ast.ImportFrom)


def problems(
    scope: str, old: Sequence[Unit], new: Sequence[Unit], before: Names, expressions: Expressions
) -> Iterator[Found]:
    """Everything in the change of a module's or class's own statements that is not listed."""
    yield from _imports(scope, old, new, before, expressions.calls)
    had, has = ([unit for unit in every if not isinstance(unit.node, IMPORTS)] for every in (old, new))
    if len(had) != len(has):
        yield "outside", f"adds or takes away what stands in {scope or 'the module'}, outside of functions"
        return
    for one, other in zip(had, has, strict=True):
        if one.key != other.key:
            yield from _given(one.node, other.node, scope, expressions)


def _imports(scope: str, old: Sequence[Unit], new: Sequence[Unit], before: Names, calls: Calls) -> Iterator[Found]:
    had, has = imported(old), imported(new)
    gone, fresh = had - has, has - had
    broken = [one for one in gone if calls.finds_nothing(one[0]) or _is_misspelt(one, fresh)]
    for target, bound in gone:
        if (target, bound) not in broken:
            yield "import", f"no longer imports {target} as {bound}"
    loaded = {target.rpartition(".")[0] for target, _ in had}
    for target, bound in fresh:
        listed = target in NAMES or target in MODULES or _is_own(target, loaded)
        if (scope and not broken) or not (listed or (broken and calls.finds(target))):
            yield "import", f"imports {target}"
        elif bound not in [name for _, name in broken] and (
            before.is_bound("", bound) or before.meaning("", bound).kind is not Kind.UNKNOWN
        ):
            yield "import", f"imports {target} as {bound}, which is something else"


def imported(every: Iterable[Unit]) -> Counter[tuple[str, str]]:
    """What these statements import, and under which name."""
    return Counter(alias for unit in every for alias in _imported(unit.node))


def _is_misspelt(one: tuple[str, str], fresh: Collection[tuple[str, str]]) -> bool:
    """A name of a listed module that gives way to a listed name of the same module, each under its own name."""
    module, _, name = one[0].rpartition(".")
    swaps = [(target, bound) for target, bound in fresh if target.rpartition(".")[0] == module]
    return module in MODULES and one[1] == name and any(t in NAMES and t == f"{module}.{b}" for t, b in swaps)


def _is_own(target: str, loaded: Collection[str]) -> bool:
    """Another name of a module that this file loads already, and that is none of the standard library's."""
    module, _, name = target.rpartition(".")
    standard = module.partition(".")[0] in sys.stdlib_module_names
    return module in loaded and not standard and name != "" and not name.startswith("__")


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """What an import gives, and under which name; a part of a package that is bound by its top has no plain name."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            is_top = not alias.asname and "." in alias.name
            yield f"{alias.name}." if is_top else alias.name, alias.asname or alias.name.partition(".")[0]
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield f"{'.' * node.level}{node.module or ''}.{alias.name}", alias.asname or alias.name


def _given(old: ast.AST, new: ast.AST, scope: str, expressions: Expressions) -> Iterator[Found]:
    """The same name is given other data."""
    if isinstance(old, Function) and isinstance(new, Function):
        yield from _head(old, new)
        return
    name, value = _data(old)
    other, data = _data(new)
    if not name or name != other or value is None or data is None or name.startswith("__"):
        yield "outside", f"changes what stands in {scope or 'the module'}, outside of functions"
    elif not (_is_data(value) and _is_data(data)):
        yield "outside", f"changes what {name} stands for"
    else:
        yield from expressions.problems(data)


def _head(old: Function, new: Function) -> Iterator[Found]:
    """A function takes one argument more than before, which has a plain value where nobody gives it."""
    said = f"changes the head of {old.name}"
    alike = type(old) is type(new) and old.name == new.name
    marks = [[fingerprint(one) for one in node.decorator_list] for node in (old, new)]
    returns = [fingerprint(node.returns) if node.returns else b"" for node in (old, new)]
    had, has = old.args, new.args
    rest = [(a.posonlyargs, a.vararg and a.vararg.arg, a.kwarg and a.kwarg.arg) for a in (had, has)]
    if not alike or marks[0] != marks[1] or returns[0] != returns[1] or len(rest[0][0]) != len(rest[1][0]):
        yield "outside", said
        return
    names = [[one.arg for one in (*a.posonlyargs, *a.args)] for a in (had, has)]
    kept = names[1][: len(names[0])] == names[0] and rest[0][1:] == rest[1][1:]
    fresh = [
        *has.args[len(had.args) :],
        *(one for one in has.kwonlyargs if one.arg not in {k.arg for k in had.kwonlyargs}),
    ]
    defaults = (
        [*has.defaults[len(has.defaults) - max(len(has.args) - len(had.args), 0) :]]
        if len(has.args) > len(had.args)
        else []
    )
    same = [fingerprint(one) for one in had.defaults] == [fingerprint(one) for one in has.defaults[: len(had.defaults)]]
    words = {one.arg: value for one, value in zip(has.kwonlyargs, has.kw_defaults, strict=True)}
    stays = all(
        one.arg in words and _same(words[one.arg], value)
        for one, value in zip(had.kwonlyargs, had.kw_defaults, strict=True)
    )
    given = [words[one.arg] for one in has.kwonlyargs if one.arg not in {k.arg for k in had.kwonlyargs}]
    defaults += [one for one in given if one is not None]
    plain = all(
        isinstance(one, ast.Constant) and (one.value is None or isinstance(one.value, bool | int)) for one in defaults
    )
    if not (kept and same and stays and plain and fresh and len(defaults) == len(fresh)):
        yield "outside", said


def _same(one: ast.expr | None, other: ast.expr | None) -> bool:
    return one is other is None or (one is not None and other is not None and fingerprint(one) == fingerprint(other))


def _data(node: ast.AST) -> tuple[str, ast.expr | None]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, node.value
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id, node.value
    return "", None


def _is_data(node: ast.expr) -> bool:
    """Literals, containers of them, and compiled patterns."""
    return all(
        isinstance(one, ast.Constant | ast.Tuple | ast.List | ast.Set | ast.Dict | ast.UnaryOp | ast.expr_context
                   | ast.unaryop | ast.BinOp | ast.operator)
        or (isinstance(one, ast.Call) and _makes_data(one))
        or (isinstance(one, ast.Name | ast.Attribute) and _is_maker(one))
        for one in ast.walk(node)
    )  # fmt: skip


def _makes_data(node: ast.Call) -> bool:
    return _is_maker(node.func)


def _is_maker(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in ("frozenset", "tuple", "re", "set")
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "re"
