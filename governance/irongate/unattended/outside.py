"""What a change may do outside of functions: import what is harmless, give plain data to a name. Pure."""

from __future__ import annotations

import ast
import copy
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from governance.irongate.unattended.calls import Calls
from governance.irongate.unattended.expressions import Expressions
from governance.irongate.unattended.names import NameKind, Names
from governance.irongate.unattended.tables import MODULES, NAMES, TYPES
from governance.irongate.unattended.units import Found, Function, Unit, fingerprint, heads

TAKEN = frozenset({"load_tests", "setup_module", "teardown_module", "pytest_plugins"})
"""Names that runners of tests look for."""
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
    had, has = imported_targets(old), imported_targets(new)
    gone, fresh = had - has, has - had
    broken = [one for one in gone if calls.finds_nothing(one[0]) or _is_misspelt(one, fresh)]
    for target, bound in gone:
        if (target, bound) not in broken:
            yield "import", f"no longer imports {target} as {bound}"
    stays = iter([(unit.key[0].rpartition(".")[0], alias) for unit in new for alias in _imported(unit.node)])
    for unit in old:
        place = unit.key[0].rpartition(".")[0]
        if not all(
            (place, alias) in stays for alias in _imported(unit.node) if alias not in broken and alias not in gone
        ):
            yield "import", "moves what is imported"
            break
    loaded = {target.rpartition(".")[0] for target, _ in had}
    for target, bound in fresh:
        standard = (target in NAMES or target in MODULES) and not calls.finds(target)
        listed = standard or _is_own(target, loaded)
        if (scope and not broken) or not (listed or (broken and calls.finds(target))):
            yield "import", f"imports {target}"
        elif bound.startswith("__") or bound in TAKEN:
            yield "import", f"imports {target} as {bound}"
        elif bound not in [name for _, name in broken] and (
            before.is_bound("", bound) or before.meaning("", bound).kind is not NameKind.UNKNOWN
        ):
            yield "import", f"imports {target} as {bound}, which is something else"


def imported_targets(every: Iterable[Unit]) -> Counter[tuple[str, str]]:
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
    elif not (_is_data(value) and _is_data(data)) or _type(old) != _type(new):
        yield "outside", f"changes what {name} stands for"
    elif lost := Counter(_settings(value)) - Counter(_settings(data)):
        yield "outside", f"takes {', '.join(map(str, lost))} out of {name}"
    elif more := Counter(_settings(data)) - Counter(_settings(value)):
        yield "outside", f"puts {', '.join(map(str, more))} into {name}"
    elif _kinds(value) != _kinds(data):
        yield "outside", f"makes {name} another kind of value"
    else:
        yield from expressions.problems(data)


def _head(old: Function, new: Function) -> Iterator[Found]:
    """A function takes more arguments than before, each with a plain default."""
    had, has = old.args, new.args
    more, words = len(has.args) - len(had.args), len(has.kwonlyargs) - len(had.kwonlyargs)
    fresh = [*has.args[len(had.args) :], *has.kwonlyargs[len(had.kwonlyargs) :]]
    values = [*has.defaults[len(had.defaults) :], *has.kw_defaults[len(had.kw_defaults) :]]
    shorter = ast.arguments(
        posonlyargs=has.posonlyargs,
        args=has.args[: len(had.args)],
        vararg=has.vararg,
        kwonlyargs=has.kwonlyargs[: len(had.kwonlyargs)],
        kw_defaults=has.kw_defaults[: len(had.kw_defaults)],
        kwarg=has.kwarg,
        defaults=has.defaults[: len(had.defaults)],
    )
    marks = [b"".join(map(fingerprint, heads(node))) for node in (_without(old), _without(new))]
    is_plain = all(isinstance(one, ast.Constant) and isinstance(one.value, bool | int | None) for one in values)
    is_untyped = all(one.annotation is None or _is_plain_type(one.annotation) for one in fresh)
    stays = fingerprint(shorter) == fingerprint(had) and marks[0] == marks[1] and type(old) is type(new)
    if not (stays and min(more, words) >= 0 and len(values) == len(fresh) and is_plain and is_untyped):
        yield "outside", f"changes the head of {old.name}"


def _without(node: Function) -> Function:
    """The same without its arguments."""
    bare = copy.copy(node)
    vars(bare).pop("_fingerprint", None)
    bare.args = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return bare


def _is_plain_type(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in TYPES


def _data(node: ast.AST) -> tuple[str, ast.expr | None]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, node.value
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id, node.value
    return "", None


def _type(node: ast.AST) -> bytes:
    return fingerprint(node.annotation) if isinstance(node, ast.AnnAssign) else b""


def _kinds(node: ast.expr) -> tuple[str, list[str]]:
    """Of what kind a value is; its texts as they are, but for patterns."""
    plain = type(node.value).__name__ if isinstance(node, ast.Constant) else type(node).__name__
    texts = (one for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str | bytes))
    return plain, [repr(one.value) for one in texts if not _is_text_of_pattern(one, node)]


def _settings(node: ast.expr) -> Iterator[object]:
    """What turns something on or off, and what a container lists."""
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and (isinstance(one.value, bool | None) or one is not node):
            yield f"{type(one.value).__name__} {one.value!r}" if not _is_text_of_pattern(one, node) else ""


def _is_text_of_pattern(one: ast.AST, node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and one in node.args


def _is_data(node: ast.expr) -> bool:
    """Literals, containers of them, and compiled patterns."""
    return all(
        isinstance(
            one,
            ast.Constant
            | ast.Tuple
            | ast.List
            | ast.Set
            | ast.Dict
            | ast.UnaryOp
            | ast.expr_context
            | ast.unaryop
            | ast.BinOp
            | ast.operator,
        )
        or (isinstance(one, ast.Call) and _is_maker(one.func))
        or (isinstance(one, ast.Name | ast.Attribute) and _is_maker(one))
        for one in ast.walk(node)
    )


def _is_maker(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in ("frozenset", "tuple", "re", "set")
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "re"
