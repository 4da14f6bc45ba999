"""Judges the change of one function for gate 20: the statements that it adds, and what it has to leave in place. Pure.

To be left: open calls (not known to be free of effects) and their arguments, errors and checks, stores into objects,
``with`` and ``except``, the function's head, and its inner functions. What may be added: values computed from values
that the function already has.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence

from governance.irongate.syntax import source
from governance.irongate.unattended import anchors
from governance.irongate.unattended.anchors import ENDS, Anchors
from governance.irongate.unattended.calls import Calls
from governance.irongate.unattended.expressions import Expressions
from governance.irongate.unattended.names import NameKind, chain, root_of
from governance.irongate.unattended.tables import ERRORS
from governance.irongate.unattended.units import Found, Unit

ALLOWED_STATEMENTS = (
    ast.Expr,
    ast.Assign,
    ast.AugAssign,
    ast.AnnAssign,
    ast.Return,
    ast.Raise,
    ast.If,
    ast.For,
    ast.While,
    ast.Pass,
    ast.Break,
    ast.Continue,
    ast.Assert,
)
SUSPENSIONS = (ast.Await, ast.Yield, ast.YieldFrom)


class Steps:
    """One function before and after, as statements; those of inner functions are not included.

    ``errors``: exceptions that the file raises. ``own``: attributes of ``self`` that may be set. ``by_search``: the
    daemon's own search made the change; then only calls with known effects have to stay in place.
    """

    def __init__(
        self,
        old: Sequence[Unit],
        new: Sequence[Unit],
        before: Calls,
        after: Calls,
        *,
        errors: frozenset[str],
        own: frozenset[str],
        by_search: bool,
    ) -> None:
        self._old, self._new, self._before, self._after = old, new, before, after
        self._scope, self._errors, self._own, self._by_search = after.scope, errors, own, by_search
        left = Counter(unit.key for unit in old)
        self.added = [unit for unit in new if not _take(left, unit.key)]
        left = Counter(unit.key for unit in new)
        self.gone = [unit for unit in old if not _take(left, unit.key)]

    def problems(self, expressions: Expressions) -> Iterator[Found]:
        """Everything in the change of this function that is not on gate 20's list."""
        yield from self._find_statement_problems()
        old, new = (
            Anchors(every, calls, by_search=self._by_search)
            for every, calls in ((self._old, self._before), (self._new, self._after))
        )
        yield from anchors.find_problems(old, new)
        yield from self._find_hidden_names()
        yield from self._find_state_problems()
        yield from self._find_dead_code()
        for unit in self.added:
            yield from self._find_added_problems(unit.node, expressions)

    def _find_statement_problems(self) -> Iterator[Found]:
        for unit in (*self.added, *self.gone):
            if not isinstance(unit.node, ALLOWED_STATEMENTS):
                yield "syntax", f"adds, changes or takes away {type(unit.node).__name__} in {self._scope}"
        had, has = (sum(isinstance(unit.node, ast.While) for unit in every) for every in (self._old, self._new))
        if had != has:
            yield "syntax", f"adds or takes away While in {self._scope}"
        for other in SUSPENSIONS:
            had, has = (
                sum(isinstance(node, other) for unit in every for part in unit.parts() for node in ast.walk(part))
                for every in (self._old, self._new)
            )
            if bool(had) != bool(has) or (other is not ast.Yield and had != has):
                yield "async", f"adds or takes away {other.__name__} in {self._scope}"

    def _find_hidden_names(self) -> Iterator[Found]:
        """New local names that hide a name with a meaning: statements that stay would then mean something else."""
        for name in self._after.names.bound_in(self._scope) - self._before.names.bound_in(self._scope):
            if self._before.meaning(name).kind is not NameKind.UNKNOWN or name.startswith("__"):
                yield "name", f"gives {name} another meaning"

    def _stores_in(self, every: Sequence[Unit], judge: Calls) -> set[str]:
        """Source text of attributes and items that are set, except items of containers that the function created."""
        targets = (
            node.value if isinstance(node, ast.Subscript) else node
            for unit in every
            for part in unit.parts()
            for node in ast.walk(part)
            if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load)
        )
        return {source(one)[:200] for one in targets if not (isinstance(one, ast.Name) and one.id in judge.flow.fresh)}

    def _find_state_problems(self) -> Iterator[Found]:
        old, new = self._stores_in(self._old, self._before), self._stores_in(self._new, self._after)
        for one in new - old:
            of_self = one.removeprefix("self.")
            if of_self == one or of_self not in self._own:
                yield "state", f"changes {one}"
        yield from (("removal", f"no longer changes {one}") for one in old - new)
        for unit in self.added:
            value = unit.node.value if isinstance(unit.node, ast.Assign) else None
            is_switch = isinstance(value, ast.Constant) and isinstance(value.value, bool | None)
            if is_switch and any(isinstance(one, ast.Attribute | ast.Subscript) for one in unit.node.targets):  # type: ignore[attr-defined]
                yield "state", f"sets {source(unit.node)[:60]}"

    def _find_dead_code(self) -> Iterator[Found]:
        """Unreachable statements, and conditions that are constant."""
        for unit in self._new:
            for field in ("body", "orelse", "finalbody"):
                block = getattr(unit.node, field, None)
                if isinstance(block, list):
                    for step in block[:-1]:
                        if isinstance(step, ENDS):
                            yield "dead", f"puts steps of {self._scope} behind one that ends"
        for unit in self.added:
            test = unit.node.test if isinstance(unit.node, ast.If | ast.While | ast.Assert) else None
            parts = (
                [test, *(one for n in ast.walk(test) if isinstance(n, ast.BoolOp) for one in n.values)] if test else []
            )
            if any(not any(isinstance(node, ast.Name) for node in ast.walk(part)) for part in parts):
                yield "dead", "asks for nothing"

    def _find_added_problems(self, node: ast.AST, expressions: Expressions) -> Iterator[Found]:
        if isinstance(node, ast.Expr):
            yield from self._expression_alone(node.value, expressions)
        elif isinstance(node, ast.Raise):
            yield from self._raise(node, expressions)
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from self._target(target, expressions)
            if isinstance(node, ast.AugAssign):
                yield from self._grows(node)
            if node.value is not None:
                yield from expressions.problems(node.value)
        elif isinstance(node, ast.For):
            yield from self._target(node.target, expressions)
            yield from expressions.problems(node.iter)
        elif isinstance(node, ast.If | ast.While | ast.Assert):
            yield from expressions.problems(node.test, in_condition=True)
        elif isinstance(node, ast.Return) and node.value is not None:
            yield from expressions.problems(node.value)

    def _expression_alone(self, node: ast.expr, expressions: Expressions) -> Iterator[Found]:
        """Problems of a statement that is an expression: a call that changes a container, a ``yield``, or any other."""
        if isinstance(node, ast.Yield):
            yield from expressions.problems(node.value) if node.value is not None else ()
        elif isinstance(node, ast.Call) and self._after.keeps(node) is not None:
            yield from expressions.arguments(node)
        else:
            yield from expressions.problems(node)

    def _raise(self, node: ast.Raise, expressions: Expressions) -> Iterator[Found]:
        made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        name = chain(made) if made is not None else ""
        is_imported = self._before.dotted(made) != "" if made is not None else False
        is_error = is_imported and name.endswith(("Error", "Exception"))
        if made is not None and name not in ERRORS and name not in self._errors and not is_error:
            yield "raises", f"raises {name or 'something'}, which this file does not raise"
        elif self._after.is_function(node.exc):
            yield "raises", f"raises what {name} gives"
        elif name in ERRORS and self._after.meaning(name).kind is not NameKind.BUILTIN:
            yield "raises", f"raises {name}, which is another here"
        catches = any(isinstance(unit.node, ast.ExceptHandler) for unit in self._new)
        if isinstance(node.exc, ast.Call):
            for arg in (*node.exc.args, *(word.value for word in node.exc.keywords)):
                yield from expressions.problems(arg, in_error=not catches)
        if node.cause is not None and not isinstance(node.cause, ast.Name | ast.Constant):
            yield "raises", "computes the cause of an error"

    def _grows(self, node: ast.AugAssign) -> Iterator[Found]:
        """``+=`` changes a container in place: the target has to be the function's own container, or not be one."""
        name, flow = chain(node.target), self._after.flow
        is_plain = isinstance(node.value, ast.Constant) or not isinstance(node.target, ast.Name)
        if name in flow.holders or (name not in flow.fresh | flow.numbers and not is_plain):
            yield "state", f"adds to {name or 'something'}, which may be somebody else's"

    def _target(self, node: ast.AST, expressions: Expressions) -> Iterator[Found]:
        """Problems of an assignment's target: only local names, and attributes and items of theirs, may be set."""
        if isinstance(node, ast.Tuple | ast.List):
            for one in node.elts:
                yield from self._target(one, expressions)
        elif isinstance(node, ast.Starred):
            yield from self._target(node.value, expressions)
        elif isinstance(node, ast.Name):
            if self._after.meaning(node.id).kind is not NameKind.LOCAL:
                yield "name", f"gives {node.id} another meaning"
        elif isinstance(node, ast.Subscript):
            yield from expressions.problems(node.slice)
            yield from self._outside(node)
        elif isinstance(node, ast.Attribute):
            yield from self._outside(node)

    def _outside(self, node: ast.AST) -> Iterator[Found]:
        root = root_of(node)
        if not isinstance(root, ast.Name) or self._after.meaning(root.id).kind is not NameKind.LOCAL:
            yield "state", f"changes {source(node)[:60]}, which is not the function's own"


def _take(left: Counter[tuple[str, bytes]], key: tuple[str, bytes]) -> bool:
    if left[key] <= 0:
        return False
    left[key] -= 1
    return True
