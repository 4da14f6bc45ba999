"""What an added statement does beside its expressions: what it defines, imports, keeps, and runs when it is loaded."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from governance.irongate.unattended.classes import stays
from governance.irongate.unattended.names import (
    DUNDER,
    Names,
    absolute,
    dotted,
    harmless,
    harmless_module,
    is_builtin,
    is_runner,
    reaches,
    root_of,
    shape,
    standard,
)  # fmt: skip
from governance.irongate.unattended.tables import (
    CONSTANT_MAKERS,
    DECIDING,
    DUNDER_ATTRIBUTES,
    DUNDERS,
    MAY_BE_NEW,
    MODULES_OWN,
)
from governance.irongate.unattended.units import Added, Found, Function, fingerprint


def definitions(added: Added, names: Names, *, is_test: bool) -> Iterator[Found]:
    """What a new head of a function or class says of it."""
    node, before = added.unit.node, [unit.node for unit in added.replaced]
    if (
        isinstance(node, ast.ClassDef)
        and not (is_test and not node.keywords)
        and not stays(node, added.unit.scope, before, names)
    ):
        yield "class", f"defines or changes the class {node.name}"
    if isinstance(node, Function):
        same = [old for old in before if isinstance(old, Function) and old.name == node.name]
        for decorator in node.decorator_list:
            if ast.dump(_called(decorator)) not in names.loaded and not _plain_decorator(
                decorator, names, is_test=is_test
            ):
                yield "decorator", f"decorates {node.name}"
        if any(type(old) is not type(node) for old in same):
            yield "async", f"makes {node.name} another kind of function"
        listed = DUNDER_ATTRIBUTES if same else MAY_BE_NEW if added.unit.outer is ast.ClassDef else ()
        if DUNDER.fullmatch(node.name) and node.name not in listed:
            yield "special_method", f"defines {node.name}"


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _plain_decorator(node: ast.expr, names: Names, *, is_test: bool) -> bool:
    said = dotted(_called(node), names.imports)
    if is_test and is_runner(said):
        return True
    return said in (
        "property",
        "staticmethod",
        "classmethod",
        "abc.abstractmethod",
        "typing.overload",
        "typing.override",
    )


def steps(added: Added, names: Names) -> Iterator[Found]:
    """What a new statement does beside its expressions: state, effects, what it takes away."""
    unit = added.unit
    node, in_code = unit.node, issubclass(unit.outer, Function)
    if isinstance(node, ast.Global | ast.Nonlocal):
        yield "state", "binds a name outside of the function"
    elif isinstance(node, ast.Delete):
        if any(not isinstance(target, ast.Subscript) for target in node.targets):
            yield "state", "deletes a name"
    elif isinstance(node, ast.Import | ast.ImportFrom):
        return
    elif not in_code and not isinstance(node, Function | ast.ClassDef | ast.Assign | ast.AnnAssign | ast.Pass):
        if not (_is_text(node) or names_exports(node)):
            yield "effect", f"runs a statement when the {'class' if unit.outer is ast.ClassDef else 'module'} is loaded"
    elif not in_code and isinstance(node, ast.Assign | ast.AnnAssign):
        yield from _made(node, added, names)
    for target in _targets(node):
        yield from _stored(target, added, names)


def _made(node: ast.Assign | ast.AnnAssign, added: Added, names: Names) -> Iterator[Found]:
    """A value that a module or a class keeps."""
    if node.value is None:
        return
    for inner in ast.walk(node.value):
        if (
            isinstance(inner, ast.Call)
            and ast.dump(inner.func) not in names.loaded
            and shape(inner.func) not in names.shapes
            and dotted(inner.func, names.imports) not in CONSTANT_MAKERS
        ):
            yield "effect", "calls something when the module is loaded"
    shared = added.unit.outer is ast.ClassDef and isinstance(node.value, ast.List | ast.Dict | ast.Set)
    if shared and not any(isinstance(old.node, ast.Assign | ast.AnnAssign) for old in added.replaced):
        yield "state", "gives a class a value that its instances share"
    names_of = [target.id for target in _targets(node) if isinstance(target, ast.Name)]
    if "__slots__" in names_of:
        yield "special_method", "changes __slots__"


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    """Each single thing that a statement binds, items of tuples apart."""
    found: list[ast.AST] = []
    for inner in ast.walk(node) if isinstance(node, ast.stmt) and not isinstance(node, Function | ast.ClassDef) else ():
        if isinstance(inner, ast.Name | ast.Attribute | ast.Subscript) and not isinstance(inner.ctx, ast.Load):
            found.append(inner)
    return (one for one in found if isinstance(one, ast.expr))


def _stored(target: ast.expr, added: Added, names: Names) -> Iterator[Found]:
    if isinstance(target, ast.Name) or fingerprint(target) in added.kept:
        return
    root = root_of(target)
    if not isinstance(root, ast.Name):
        yield "state", "stores into what is computed"
    elif (added.unit.scope, root.id) in names.states:
        return
    elif root.id == "cls" or root.id in names.top or root.id in names.imports or is_builtin(root.id):
        yield "state", f"stores into {root.id}, which outlives the call"


def imports_of(added: Added, names: Names, path: str, *, is_test: bool) -> Iterator[Found]:
    """Imports that neither the file nor the repository uses, and that no list allows."""
    node = added.unit.node
    if isinstance(node, ast.Import):
        said = [(alias.name, "", alias.asname) for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        said = [(f"{'.' * node.level}{node.module or ''}", alias.name, alias.asname) for alias in node.names]
    else:
        return
    had = set(_had(added))
    for module, name, renamed in said:
        if (module, name, renamed) in had:
            continue
        text = f"{module}:{name}" if name else module
        bound = renamed or name or module.partition(".")[0]
        if bound in MODULES_OWN or bound in DECIDING or bound in DUNDERS:
            yield "special_method", f"imports {bound}"
        elif name == "*":
            yield "import", f"imports everything of {module}"
        elif (bound in names.bound_before and bound not in names.top_before) or is_builtin(bound):
            yield "shadowing", f"imports {bound} in place of something else"
        elif is_test and (is_runner(module) or not (standard(module) or reaches(module))):
            continue
        elif standard(module):
            if not (harmless(f"{module}.{name}") if name else harmless_module(module)):
                yield "import", f"imports {module}{'.' if name else ''}{name}"
        elif text in names.imported_before or f"{absolute(path, module)}{text[len(module) :]}" in names.known:
            if reaches(module) or is_runner(module):
                yield "import", f"imports {module}"
        else:
            yield "import", f"imports {text.replace(':', '.')}, which the repository does not use"


def _had(added: Added) -> Iterator[tuple[str, str, str | None]]:
    """What the statements imported that were replaced."""
    for node in (unit.node for unit in added.replaced):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "", alias.asname) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = f"{'.' * node.level}{node.module or ''}"
            yield from ((module, alias.name, alias.asname) for alias in node.names if alias.name != "*")


def names_exports(node: ast.AST) -> bool:
    """A statement that only puts names into ``__all__``, or takes them out, as an assignment to it might."""
    if isinstance(node, ast.AugAssign):
        target: ast.expr = node.target
        values = [node.value]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        func = node.value.func
        if func.attr not in ("append", "extend", "remove") or node.value.keywords:
            return False
        target, values = func.value, node.value.args
    else:
        return False
    texts = [one for value in values for one in (value.elts if isinstance(value, ast.List | ast.Tuple) else [value])]
    return (
        isinstance(target, ast.Name)
        and target.id == "__all__"
        and all(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in texts)
    )


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
