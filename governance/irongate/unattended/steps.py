"""What a change does to one function: which statements it adds, and what of the function stays as it is. Pure.

What stays: what it calls that may reach out, and with what; what it raises and checks, keeps in objects, opens and
catches; its head, its functions inside. What may come: values of the function computed from values of the function.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence

from governance.irongate.syntax import source
from governance.irongate.unattended.calls import Calls, changed_by
from governance.irongate.unattended.expressions import Expressions
from governance.irongate.unattended.names import Kind, chain, root_of
from governance.irongate.unattended.tables import CAUGHT, ERRORS
from governance.irongate.unattended.units import Found, Scoped, Unit, fingerprint, heads, inside

MAY_COME = (
    ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Raise, ast.If, ast.For, ast.While, ast.Pass,
    ast.Break, ast.Continue, ast.ExceptHandler, ast.match_case, ast.Assert,
)  # fmt: skip
STAYS = (
    ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Global, ast.Nonlocal, ast.Delete, ast.Import, ast.ImportFrom,
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Match, ast.AsyncFor,
)  # fmt: skip
COUNTED = (ast.While, ast.ExceptHandler, ast.match_case)
CHECKS = (ast.Raise, ast.Assert)
ENDS = (ast.Return, ast.Raise, ast.Break, ast.Continue)
WAITS_FOR_OTHERS = (ast.Await, ast.Yield, ast.YieldFrom)


class Steps:
    """One function before and after: its statements, those of functions inside apart.

    ``errors``: what the file raises. ``own``: attributes that its methods give to their objects.
    """

    def __init__(
        self, old: Sequence[Unit], new: Sequence[Unit], before: Calls, after: Calls, *, errors: frozenset[str],
        own: frozenset[str],
    ) -> None:  # fmt: skip
        self._old, self._new, self._before, self._after = old, new, before, after
        self._scope, self._errors, self._own = after.scope, errors, own
        left = Counter(unit.key for unit in old)
        self.added = [unit for unit in new if not _take(left, unit.key)]
        left = Counter(unit.key for unit in new)
        self.gone = [unit for unit in old if not _take(left, unit.key)]

    def problems(self, expressions: Expressions) -> Iterator[Found]:
        """Everything in the change of this function that is not listed."""
        yield from self._shape()
        yield from self._opens()
        yield from self._conditions()
        yield from self._keeps()
        yield from self._dead()
        yield from self._feeds()
        for unit in self.added:
            yield from self._added(unit.node, expressions)

    def _shape(self) -> Iterator[Found]:
        for unit in (*self.added, *self.gone):
            if isinstance(unit.node, STAYS) or not isinstance(unit.node, MAY_COME):
                yield "syntax", f"adds, changes or takes away {type(unit.node).__name__} in {self._scope}"
        for kind in COUNTED:
            had, has = (sum(isinstance(unit.node, kind) for unit in every) for every in (self._old, self._new))
            if had != has:
                yield "syntax", f"adds or takes away {kind.__name__} in {self._scope}"
        had, has = (sum(isinstance(unit.node, CHECKS) for unit in every) for every in (self._old, self._new))
        if has < had:
            yield "removal", f"takes a check out of {self._scope}"
        for other in WAITS_FOR_OTHERS:
            had, has = (
                sum(isinstance(node, other) for unit in every for part in unit.parts() for node in ast.walk(part))
                for every in (self._old, self._new)
            )
            if bool(had) != bool(has) or (other is not ast.Yield and had != has):
                yield "async", f"adds or takes away {other.__name__} in {self._scope}"

    def _open_calls(self, every: Sequence[Unit], judge: Calls) -> dict[bytes, list[ast.Call]]:
        found: dict[bytes, list[ast.Call]] = {}
        for unit in every:
            raised = {id(unit.node.exc)} if isinstance(unit.node, ast.Raise) else set()
            for part in unit.parts():
                for node in ast.walk(part):
                    if not isinstance(node, ast.Call) or id(node) in raised or judge.keeps(node) is not None:
                        continue
                    if judge.is_open(node):
                        found.setdefault(fingerprint(node), []).append(node)
        return found

    def _opens(self) -> Iterator[Found]:
        """What may reach out is called as often as before, and with the same."""
        old, new = self._open_calls(self._old, self._before), self._open_calls(self._new, self._after)
        for one, calls in new.items():
            if len(calls) > len(old.get(one, ())):
                yield "call", f"calls {source(calls[0])[:60]}, which is not known to reach nothing"
        for one, calls in old.items():
            if len(calls) > len(new.get(one, ())):
                yield "removal", f"takes {source(calls[0])[:60]} out of {self._scope}"

    def _conditions(self) -> Iterator[Found]:
        """What may reach out does so under the conditions under which it did: more may hold it back, nothing less."""
        old, new = (Conditions(every) for every in (self._old, self._new))
        was = self._open_calls(self._old, self._before)
        for one, calls in self._open_calls(self._new, self._after).items():
            if all(map(self._after.is_mild, calls)):
                continue
            left = [old.of(call) for call in was.get(one, ())]
            for call in calls:
                inside, before = new.of(call)
                fits = next((each for each in left if each[0] == inside and each[1] <= before), None)
                if fits is None:
                    yield "condition", f"calls {source(call)[:60]} under other conditions"
                else:
                    left.remove(fits)
        gone = Counter(map(self._alone, self._old)) - Counter(map(self._alone, self._new))
        yield from (("removal", f"takes {one} out of {self._scope}") for one in gone if one)

    def _alone(self, unit: Unit) -> str:
        """What is called for what it does and not for what it gives: as written, without what it is given."""
        call = unit.node.value if isinstance(unit.node, ast.Expr) else None
        is_container = isinstance(call, ast.Call) and self._after.keeps(call) is not None
        return source(call.func)[:60] if isinstance(call, ast.Call) and not is_container else ""

    def _kept_in(self, every: Sequence[Unit], judge: Calls) -> dict[str, int]:
        """What is given to attributes and items, and what is changed in place: as written, how often."""
        found: Counter[str] = Counter()
        for unit in every:
            for part in unit.parts():
                for node in ast.walk(part):
                    target: ast.AST | None = None
                    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
                        target = node.value if isinstance(node, ast.Subscript) else node
                    elif isinstance(node, ast.Call):
                        target = judge.keeps(node)
                    if target is not None and not self._is_fresh(target, every):
                        found[source(target)[:200]] += 1
        return found

    def _is_fresh(self, target: ast.AST, every: Sequence[Unit]) -> bool:
        """A container that the function itself has made and nobody else holds."""
        if not isinstance(target, ast.Name) or self._after.meaning(target.id).kind is not Kind.LOCAL:
            return False
        given = [value for unit in every for name, value in _given(unit.node) if name == target.id]
        return bool(given) and all(value is not None and _makes(value) for value in given)

    def _keeps(self) -> Iterator[Found]:
        old, new = self._kept_in(self._old, self._before), self._kept_in(self._new, self._after)
        for one in new:
            of_self = one.removeprefix("self.")
            if one not in old and not (of_self != one and of_self in self._own):
                yield "state", f"changes {one}"
        yield from (("removal", f"no longer changes {one}") for one in old if one not in new)

    def _dead(self) -> Iterator[Found]:
        """Steps behind one that ends their block, and conditions that are none."""
        for unit in self._new:
            for field in ("body", "orelse", "finalbody"):
                block = getattr(unit.node, field, None)
                if isinstance(block, list):
                    for step in block[:-1]:
                        if isinstance(step, ENDS):
                            yield "dead", f"puts steps of {self._scope} behind one that ends"
        for unit in self.added:
            test = unit.node.test if isinstance(unit.node, ast.If | ast.While | ast.Assert) else None
            if test is not None and not any(isinstance(node, ast.Name) for node in ast.walk(test)):
                yield "dead", "asks for nothing"

    def _feeds(self) -> Iterator[Found]:
        """What goes to a call that may reach out comes from where it came."""
        fed: dict[str, str] = {}
        calls = [call for every in self._open_calls(self._new, self._after).values() for call in every]
        for call in calls:
            said = source(call.func)[:60]
            for arg in (*call.args, *(word.value for word in call.keywords)):
                fed |= dict.fromkeys(_places(arg), said)
            if isinstance(call.func, ast.Attribute):
                fed |= dict.fromkeys((one for one in _places(call.func.value) if one not in ("self", "cls")), said)
        if not fed:
            return
        given = [(name, value) for unit in self._new for name, value in _given(unit.node)]
        for _ in range(len(given)):
            more = {one: fed[name] for name, value in given if name in fed and value for one in _places(value)}
            if more.keys() <= fed.keys():
                break
            fed = more | fed
        for unit in self.added:
            for name, _ in _given(unit.node):
                if name in fed:
                    yield "argument", f"gives {name} another value, which goes to {fed[name]}"

    def _added(self, node: ast.AST, expressions: Expressions) -> Iterator[Found]:
        if isinstance(node, ast.Expr):
            yield from self._expression_alone(node.value, expressions)
        elif isinstance(node, ast.Raise):
            yield from self._raise(node, expressions)
        elif isinstance(node, ast.ExceptHandler):
            yield from self._handler(node)
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from self._target(target, expressions)
            if node.value is not None:
                yield from expressions.problems(node.value)
        elif isinstance(node, ast.For):
            yield from self._target(node.target, expressions)
            yield from expressions.problems(node.iter)
        elif isinstance(node, ast.If | ast.While | ast.Assert):
            yield from expressions.problems(node.test, asks=True)
        elif isinstance(node, ast.Return) and node.value is not None:
            yield from expressions.problems(node.value)
        elif isinstance(node, ast.match_case):
            yield "syntax", "changes a case"

    def _expression_alone(self, node: ast.expr, expressions: Expressions) -> Iterator[Found]:
        """A call that changes a container, or what a generator gives out."""
        if isinstance(node, ast.Yield):
            yield from expressions.problems(node.value) if node.value is not None else ()
        elif isinstance(node, ast.Call) and self._after.keeps(node) is not None:
            for arg in (*node.args, *(word.value for word in node.keywords)):
                yield from expressions.problems(arg)
        else:
            yield from expressions.problems(node)

    def _raise(self, node: ast.Raise, expressions: Expressions) -> Iterator[Found]:
        made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        said = chain(made) if made is not None else ""
        is_imported = self._before.dotted(made) != "" if made is not None else False
        is_error = is_imported and said.endswith(("Error", "Exception"))
        if made is not None and said not in ERRORS and said not in self._errors and not is_error:
            yield "raises", f"raises {said or 'something'}, which this file does not raise"
        elif said in ERRORS and self._after.meaning(said).kind is not Kind.BUILTIN:
            yield "raises", f"raises {said}, which is another here"
        if isinstance(node.exc, ast.Call):
            for arg in (*node.exc.args, *(word.value for word in node.exc.keywords)):
                yield from expressions.problems(arg, told=True)
        if node.cause is not None and not isinstance(node.cause, ast.Name | ast.Constant):
            yield "raises", "computes the cause of an error"

    def _handler(self, node: ast.ExceptHandler) -> Iterator[Found]:
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type] if node.type else []
        had = {
            fingerprint(one)
            for unit in self._old
            if isinstance(unit.node, ast.ExceptHandler) and unit.node.type is not None
            for one in ast.walk(unit.node.type)
        }
        for one in caught:
            name = one.id if isinstance(one, ast.Name) else ""
            is_plain = name in CAUGHT and self._after.meaning(name).kind is Kind.BUILTIN
            if fingerprint(one) not in had and not is_plain:
                yield "catches", f"catches {source(one)[:40]}"
        if not caught:
            yield "catches", "catches everything"

    def _target(self, node: ast.AST, expressions: Expressions) -> Iterator[Found]:
        """What is given a value: names of the function, and what the function gave values to before."""
        if isinstance(node, ast.Tuple | ast.List):
            for one in node.elts:
                yield from self._target(one, expressions)
        elif isinstance(node, ast.Starred):
            yield from self._target(node.value, expressions)
        elif isinstance(node, ast.Name):
            if node.id.startswith("__"):
                yield "name", f"gives {node.id} a value"
            kind = self._after.meaning(node.id).kind
            is_new = not self._before.names.is_bound(self._scope, node.id)
            if kind is not Kind.LOCAL or (is_new and self._before.meaning(node.id).kind is not Kind.UNKNOWN):
                yield "name", f"gives {node.id} another meaning"
        elif isinstance(node, ast.Subscript):
            yield from expressions.problems(node.slice)
            yield from self._outside(node)
        elif isinstance(node, ast.Attribute):
            yield from self._outside(node)

    def _outside(self, node: ast.AST) -> Iterator[Found]:
        root = root_of(node)
        if not isinstance(root, ast.Name) or self._after.meaning(root.id).kind is not Kind.LOCAL:
            yield "state", f"changes {source(node)[:60]}, which is not the function's own"


class Conditions:
    """Under which conditions the calls of a function are reached."""

    def __init__(self, every: Sequence[Unit]) -> None:
        self._of: dict[int, tuple[tuple[bytes, ...], Counter[bytes]]] = {}
        inner = {id(step) for unit in every for step in inside(unit.node)}
        self._block([unit.node for unit in every if id(unit.node) not in inner], (), Counter())

    def of(self, call: ast.Call) -> tuple[tuple[bytes, ...], Counter[bytes]]:
        """The heads around it, from outside in, and those before it behind which a block may have ended."""
        return self._of[id(call)]

    def _block(self, steps: Sequence[ast.AST], around: tuple[bytes, ...], before: Counter[bytes]) -> None:
        for step in steps:
            said = b"".join([type(step).__name__.encode(), *map(fingerprint, heads(step))])
            for part in heads(step):
                for node in ast.walk(part):
                    if isinstance(node, ast.Call):
                        self._of[id(node)] = around, Counter(before)
            if isinstance(step, Scoped):
                continue  # what stands in it is judged by itself
            for field in ("body", "handlers", "cases", "orelse", "finalbody"):
                block = getattr(step, field, None)
                if isinstance(block, list):
                    self._block(block, (*around, said + field.encode()), before)
            if any(isinstance(inner, ENDS) for inner in ast.walk(step)):
                before[said] += 1


def _take(left: Counter[tuple[str, bytes]], key: tuple[str, bytes]) -> bool:
    if left[key] <= 0:
        return False
    left[key] -= 1
    return True


def _given(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
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
    whole = len(pairs) and not isinstance(node, ast.For | ast.AsyncFor | ast.AugAssign | ast.With | ast.AsyncWith)
    for target, value in pairs:
        if isinstance(target, ast.Name | ast.Attribute) and whole:
            yield chain(target), value
        else:
            for one in ast.walk(target):
                if isinstance(one, ast.Name | ast.Attribute) and (said := chain(one)) not in ("", "self", "cls"):
                    yield said, _unknown(value)
    for inner in ast.walk(node) if isinstance(node, ast.stmt) and not hasattr(node, "body") else ():
        if isinstance(inner, ast.NamedExpr):
            yield inner.target.id, _unknown(inner.value)
        elif isinstance(inner, ast.Call) and (on := changed_by(inner)) is not None and chain(on):
            yield from ((chain(on), _unknown(arg)) for arg in inner.args)


def _unknown(value: ast.expr | None) -> ast.expr | None:
    """The same value as a part of something: it makes no container of the function's own."""
    return ast.Starred(value=value, ctx=ast.Load()) if value is not None else None


def _makes(value: ast.expr) -> bool:
    """Whether an expression makes a new container."""
    if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id in ("list", "dict", "set", "sorted")
    )


def _places(node: ast.AST) -> set[str]:
    """Names and attributes, as written, from which an expression takes its value."""
    return {said for one in ast.walk(node) if isinstance(one, ast.Name | ast.Attribute) if (said := chain(one))} - {
        "self",
        "cls",
    }
