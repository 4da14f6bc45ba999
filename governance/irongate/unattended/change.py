"""Compares one file before and after a change, function by function, for gate 20: the problems that the gate reports,
and the questions about the rest of the repository whose answers it needs.

Pure. Docstrings are removed beforehand.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice

from governance.irongate.unattended import outside
from governance.irongate.unattended.calls import Calls, callee_of
from governance.irongate.unattended.expressions import Expressions
from governance.irongate.unattended.flow import Flow
from governance.irongate.unattended.literals import Literals, numbers
from governance.irongate.unattended.names import Names, chain
from governance.irongate.unattended.steps import Steps
from governance.irongate.unattended.tables import IMPLICIT_METHODS
from governance.irongate.unattended.units import Found, Unit, fingerprint, functions, units
from governance.irongate.unattended.values import RevealedValues

MOST_PLACES = 8
"""Largest number of scopes (functions, classes, the module) that a small repair changes."""
MOST_STEPS, MOST_PARTS, MOST_NUMBERS = 200, 4000, 3
"""Bounds: statements of a scope that are compared, their syntax nodes, and the numbers that a change may add (with many
it could compute any value)."""


class Change:
    """One file before and after, without docstrings; ``differing`` are the scopes that differ ("" for the module)."""

    def __init__(self, path: str, old: ast.Module, new: ast.Module) -> None:
        self._path, self._tree, self._old, self._new = path, old, units(old), units(new)
        self._before, self._after = Names(old), Names(new)
        self._functions = {name for name, _ in functions(old)}
        self._defined = Counter(name for name, _ in functions(new))
        scopes = dict.fromkeys((*self._old, *self._new))
        self.differing = [one for one in scopes if _keys(self._old.get(one, [])) != _keys(self._new.get(one, []))]

    def problems(self, revealed: RevealedValues, known: frozenset[str], *, by_search: bool) -> Iterator[Found]:
        """Everything in the change that is not on gate 20's list. ``known``: questions that were answered with yes."""
        if len(self.differing) > MOST_PLACES:
            yield "size", f"changes {len(self.differing)} functions and classes, more than {MOST_PLACES}"
            return
        literals = Literals(self._tree, revealed)
        added: list[ast.AST] = []
        gone: list[ast.AST] = []
        for scope in self.differing:
            if scope not in self._old or scope not in self._new:
                yield "definition", f"adds or takes away {scope}"
                continue
            old, new = self._old[scope], self._new[scope]
            if _is_large(old) or _is_large(new):
                yield "size", f"changes {scope or 'the module'}, which is too long to be compared"
                continue
            before, after = (self._calls(names, scope, known, by_search) for names in (self._before, self._after))
            expressions = self._expressions(after, old, literals, known)
            if scope not in self._functions:
                yield from outside.problems(scope, old, new, self._before, expressions)
                continue
            if self._defined[scope] > 1:
                yield "definition", f"changes {scope}, which is defined more than once"
            deciding = IMPLICIT_METHODS.intersection(scope.split("."))
            if deciding:
                yield "special_method", f"changes {', '.join(sorted(deciding))}"
            own = self._fields if by_search else self._assigned
            steps = Steps(old, new, before, after, errors=self._errors, own=own, by_search=by_search)
            yield from steps.problems(expressions)
            added += [part for unit in steps.added for part in unit.parts()]
            gone += [part for unit in steps.gone for part in unit.parts()]
        if len(numbers(added)) - len(numbers(gone)) > MOST_NUMBERS:
            yield "value", "adds many numbers"

    def questions(self) -> Iterator[str]:
        """Questions about new imports, calls and attributes in the differing scopes: whether they have no effects."""
        for scope in self.differing if len(self.differing) <= MOST_PLACES else ():
            had, has = (outside.imported_targets(every.get(scope, ())) for every in (self._old, self._new))
            yield from (f"-{self._path}|{target}" for target, _ in had - has)
            yield from (f"+{self._path}|{target}" for target, _ in has - had)
            if _is_large(self._old.get(scope, [])) or _is_large(self._new.get(scope, [])):
                continue  # no question about what is not compared
            for names, every in ((self._before, self._old), (self._after, self._new)):
                calls = self._calls(names, scope, frozenset())
                for node in _nodes(every.get(scope, [])):
                    if isinstance(node, ast.Call):
                        yield from calls.questions(node)
                    elif isinstance(node, ast.Attribute) and node.attr not in self._fields:
                        yield f"{self._path}||.{node.attr}"

    def _calls(self, names: Names, scope: str, known: frozenset[str], by_search: bool = False) -> Calls:
        had = {callee_of(node) for node in _nodes(self._old.get(scope, [])) if isinstance(node, ast.Call)}
        arguments = self._arguments.get(scope, frozenset())
        every = (self._old if names is self._before else self._new).get(scope, [])
        flow = Flow(every, names, scope)
        return Calls(
            self._path,
            scope,
            names,
            flow,
            patterns=self._patterns,
            known=known,
            had=had - {""} if by_search else had | arguments,
            by_search=by_search,
        )

    @cached_property
    def _arguments(self) -> dict[str, frozenset[str]]:
        """Names of parameters, by function."""
        return {
            name: frozenset(one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)) - {"self", "cls"}
            for name, node in functions(self._tree)
        }

    @cached_property
    def _assigned(self) -> frozenset[str]:
        """Attributes that the file sets on ``self``."""
        return frozenset(
            node.attr
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and chain(node.value) == "self"
        )

    def _expressions(self, calls: Calls, old: list[Unit], literals: Literals, known: frozenset[str]) -> Expressions:
        nodes = list(_nodes(old))
        called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        called |= {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        return Expressions(
            calls,
            literals,
            kept={fingerprint(node) for node in nodes if isinstance(node, ast.expr) and id(node) not in called},
            near=numbers([part for unit in old for part in unit.parts()]),
            fields=self._fields | {one.rpartition("|.")[2] for one in known if "||." in one},
            classes=self._classes,
        )

    @cached_property
    def _fields(self) -> frozenset[str]:
        """Attributes that the file reads or sets, without called ones."""
        called = {id(node.func) for node in ast.walk(self._tree) if isinstance(node, ast.Call)}
        return frozenset(
            node.attr for node in ast.walk(self._tree) if isinstance(node, ast.Attribute) and id(node) not in called
        )

    @cached_property
    def _classes(self) -> frozenset[str]:
        """Names that the file uses as classes: in ``isinstance``, ``except`` and ``raise``, or as a base."""
        found = set(self._errors)
        for node in ast.walk(self._tree):
            classes: list[ast.expr] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                classes = node.args[1:2]
            elif isinstance(node, ast.ExceptHandler) and node.type is not None:
                classes = [node.type]
            elif isinstance(node, ast.ClassDef):
                classes = node.bases
            found |= {name for one in classes for part in ast.walk(one) if (name := chain(part))}
        return frozenset(found)

    @cached_property
    def _errors(self) -> frozenset[str]:
        """Names of the exceptions that the file raises."""
        raised = (node.exc for node in ast.walk(self._tree) if isinstance(node, ast.Raise) and node.exc is not None)
        return frozenset(chain(one.func if isinstance(one, ast.Call) else one) for one in raised) - {""}

    @cached_property
    def _patterns(self) -> frozenset[str]:
        """Names of the module that are only ever assigned a compiled pattern."""
        given: dict[str, bool] = {}
        for unit in self._old[""]:
            node = unit.node
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                made = node.value.func if isinstance(node.value, ast.Call) else None
                is_pattern = made is not None and self._before.dotted("", made) == "re.compile"
                name = node.targets[0].id
                given[name] = is_pattern and given.get(name, True)
        return frozenset(name for name, is_pattern in given.items() if is_pattern)


def _nodes(every: Iterable[Unit]) -> Iterator[ast.AST]:
    return (node for unit in every for part in unit.parts() for node in ast.walk(part))


def _is_large(every: list[Unit]) -> bool:
    return len(every) > MOST_STEPS or sum(1 for _ in islice(_nodes(every), MOST_PARTS + 1)) > MOST_PARTS


def _keys(every: list[Unit]) -> list[object]:
    return [unit.key for unit in every]
