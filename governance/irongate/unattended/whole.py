"""What a change does as a whole, which no single added piece shows: names by their scope, state under other names,
definitions that are replaced, functions that act, what is taken away. Pure.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from governance.irongate.syntax import parse
from governance.irongate.unattended import effects
from governance.irongate.unattended.flow import Flow
from governance.irongate.unattended.names import Names, dotted, is_builtin, standard, stores
from governance.irongate.unattended.removals import taken_away
from governance.irongate.unattended.scopes import Bound, Scopes
from governance.irongate.unattended.tables import BUILTINS, METHODS, ONE_ARGUMENT, ONLY_DIRECT
from governance.irongate.unattended.units import Added, Found, Function, fingerprint, functions

MOST_NUMBERS = 3
"""Numbers that a change may add, few as they have to be not to spell a value."""
PLAIN_TYPE = (
    ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.List, ast.BinOp, ast.BitOr, ast.Constant, ast.expr_context,
    ast.Expression, ast.Starred,
)  # fmt: skip


class Whole:
    """One change of a file. ``said``: what the repository answers to :func:`asked`."""

    def __init__(self, names: Names, additions: Sequence[Added], said: Collection[str], *, is_test: bool) -> None:
        self._names, self._additions, self._is_test = names, additions, is_test
        self._new, self._old = Scopes(names.new), Scopes(names.old)
        self._functions, self._before = dict(functions(names.new)), dict(functions(names.old))
        self._acting = effects.acting(names.new, names.imports)
        self._flows: dict[str, tuple[Flow, frozenset[str]]] = {}
        self._acts = frozenset(one[1:] for one in said if one.startswith("!"))
        self._unknown = frozenset(one for one in said if one.startswith("?"))

    def found(self) -> Iterator[Found]:
        """Everything that misses the list."""
        yield from taken_away(self._names.old, self._names.new)
        for scope, name in self._new.again(self._old):
            yield "definition", f"binds {f'{scope}.{name}'.strip('.')} again"
        yield from self._changed_functions()
        for one in self._additions:
            yield from self._scoped(one)
            yield from self._state(one)
            yield from self._called(one)
            yield from self._handler(one)
            yield from _annotations(one)
        if not self._is_test:
            yield from self._numbers()

    def _changed_functions(self) -> Iterator[Found]:
        """A function that acts is changed by a person's word only."""
        for scope, node in self._functions.items():
            before = self._before.get(scope)
            if before is not None and fingerprint(before) == fingerprint(node):
                continue
            parts = [part for one in (before, node) if one is not None for part in effects.own(one)]
            said = next(filter(None, (effects.act(part, self._names.imports) for part in parts)), "")
            if said:
                yield "acts", f"changes {scope}, which uses {said}"

    def _scoped(self, one: Added) -> Iterator[Found]:
        """Names by the scope in which they stand."""
        for part in one.unit.parts():
            for name in stores([part]):
                if is_builtin(name) and not self._old.binds(one.unit.scope, name):
                    yield "shadowing", f"gives {name}, a builtin, another meaning"
            for node in ast.walk(part):
                if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
                    continue
                is_free = self._new.where(one.unit.scope, node.id) is Bound.NOWHERE
                if is_free and is_builtin(node.id) and node.id not in BUILTINS and node.id in self._names.bound:
                    yield "name", f"uses {node.id}"

    def _state(self, one: Added) -> Iterator[Found]:
        function = self._functions.get(one.unit.scope)
        if function is None or self._is_test:
            return
        flow, had = self._flow(one.unit.scope, function)
        for part in one.unit.parts():
            yield from (("state", what) for what in flow.changes(part) if what not in had)

    def _flow(self, scope: str, function: Function) -> tuple[Flow, frozenset[str]]:
        """The names of a function that outlive its call, and what of these it changed before."""
        if scope not in self._flows:
            before = self._before.get(scope)
            had = frozenset(Flow(before, scope, self._old).changes(before)) if before is not None else frozenset()
            self._flows[scope] = (Flow(function, scope, self._new), had)
        return self._flows[scope]

    def _called(self, one: Added) -> Iterator[Found]:
        """Calls that are new, or of which anything is new: of what acts, and of what may be called in one way only."""
        for part in one.unit.parts():
            called = {id(node.func): node for node in ast.walk(part) if isinstance(node, ast.Call)}
            for node in ast.walk(part):
                if isinstance(node, ast.Call) and fingerprint(node) in one.kept:
                    continue
                if isinstance(node, ast.Call):
                    yield from self._call(node)
                elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                    if fingerprint(node) not in one.kept or id(node) not in called:
                        yield from self._handed(node, called.get(id(node)))
                    said = dotted(node, self._names.imports)
                    call = called.get(id(node))
                    if said in ONLY_DIRECT and call is None and not _is_decorator(node, one):
                        yield "call", f"hands {said} on"
                    if said in ONE_ARGUMENT and call is not None and (len(call.args) != 1 or call.keywords):
                        yield "call", f"calls {said} with more than one argument"

    def _handed(self, node: ast.Name | ast.Attribute, call: ast.Call | None) -> Iterator[Found]:
        """What acts may not be given to others to call, nor what shapes a text by its fields."""
        last = node.id if isinstance(node, ast.Name) else node.attr
        if call is None and last in ("format", "format_map"):
            yield "call", "hands .format on"
        is_bound = isinstance(node, ast.Attribute) or self._new.where("", node.id) is Bound.MODULE
        if call is None and is_bound and last not in METHODS and (last in self._acting or last in self._acts):
            yield "acts", f"hands {last} on, which acts"

    def _call(self, node: ast.Call) -> Iterator[Found]:
        if any(word.arg is None and isinstance(word.value, ast.Dict) for word in node.keywords):
            yield "call", "hands keywords on in a dictionary"
        for name in effects.called([_alone(node)]):
            if name in self._acting or name in self._acts:
                yield "acts", f"calls {name}(), which acts"
        said = dotted(node.func, self._names.imports)
        if f"?{said}" in self._unknown:
            yield "unknown", f"calls {said}, which neither this file nor the repository's own code is known for"

    def _handler(self, one: Added) -> Iterator[Found]:
        """What is caught is named: by a builtin, an import, a class of the module."""
        node = one.unit.node
        caught = node.type if isinstance(node, ast.ExceptHandler) else None
        for inner in ast.walk(caught) if caught is not None else ():
            if isinstance(inner, ast.Name):
                bound = self._new.where(one.unit.scope, inner.id)
                assigned = bound is Bound.MODULE and not self._new.defines(inner.id)
                if bound in (Bound.LOCAL, Bound.AROUND) or assigned:
                    yield "catches", f"catches what {inner.id} stands for"
            elif not isinstance(inner, ast.Attribute | ast.Tuple | ast.expr_context):
                yield "catches", "catches what is computed"

    def _numbers(self) -> Iterator[Found]:
        """Numbers that a change adds, less those that it takes away: many small ones spell any value."""
        added = Counter(
            node.value
            for one in self._additions
            for part in one.unit.parts()
            for node in ast.walk(part)
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float | complex)
        )
        gone = {id(unit): unit for one in self._additions for unit in one.replaced}
        added.subtract(
            node.value
            for unit in gone.values()
            for part in unit.parts()
            for node in ast.walk(part)
            if isinstance(node, ast.Constant) and isinstance(node.value, int | float | complex)
        )
        if sum(count for count in added.values() if count > 0) > MOST_NUMBERS:
            yield "value", "adds many numbers"


def _alone(node: ast.Call) -> ast.Call:
    """A call without what is handed to it."""
    return ast.Call(func=node.func, args=[], keywords=[])


def _is_decorator(node: ast.AST, one: Added) -> bool:
    return isinstance(one.unit.node, Function | ast.ClassDef) and node in one.unit.node.decorator_list


def _annotations(one: Added) -> Iterator[Found]:
    """A type that is written as a text is code to who asks for it."""
    for part in one.unit.parts():
        for node in ast.walk(part):
            given = node.annotation if isinstance(node, ast.arg | ast.AnnAssign) else None
            yield from _type(given)
    if isinstance(one.unit.node, Function):
        yield from _type(one.unit.node.returns)
        for arg in ast.walk(one.unit.node.args):
            yield from _type(arg.annotation if isinstance(arg, ast.arg) else None)


def _type(node: ast.expr | None) -> Iterator[Found]:
    for inner in ast.walk(node) if node is not None else ():
        if isinstance(inner, ast.Call | ast.Lambda | ast.NamedExpr):
            yield "annotation", "computes a type"
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            said = parse(inner.value.strip())
            parts = list(ast.walk(said)) if said is not None else []
            allowed = (*PLAIN_TYPE, ast.Module, ast.Expr)
            if not parts or not all(isinstance(one, allowed) for one in parts):
                yield "annotation", f"gives a type by the text {inner.value[:40]!r}"


def _root(node: ast.AST, names: Names) -> str:
    return dotted(node, names.imports) or "."


def asked(names: Names, additions: Sequence[Added]) -> Iterator[str]:
    """Questions about what a change calls anew: ``!name``, does it act? ``?dotted``, does no source define it?"""
    for one in additions:
        for part in one.unit.parts():
            for node in ast.walk(part):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names.top:
                    yield f"!{node.id}"
                elif isinstance(node, ast.Attribute) and node.attr not in METHODS and not standard(_root(node, names)):
                    yield f"!{node.attr}"
                if isinstance(node, ast.Call) and fingerprint(node) not in one.kept:
                    func = node.func
                    last = func.attr if isinstance(func, ast.Attribute) else ""
                    if isinstance(func, ast.Name) and not is_builtin(func.id):
                        last = names.imports.get(func.id, func.id).rpartition(".")[2]
                    known = standard(dotted(func, names.imports) or ".")
                    if last and not known and any(effects.called([_alone(node)])):
                        yield f"!{last}"
                        if isinstance(func, ast.Name):
                            yield f"!{func.id}"
                    said = dotted(func, names.imports)
                    is_imported = any(said.startswith(one) for one in names.imports.values())
                    if said and is_imported and not standard(said) and said not in names.chains:
                        yield f"?{said}"
