"""Anchors: parts of a function that an unattended change has to leave in place. Pure.

They are open calls (not known to be free of effects), calls whose result is not used, checks (``raise``, ``assert``),
and values that reach an open call. The head of a statement is the part before its block: the test of an ``if``, say.
An anchor keeps its kind, the heads around it, and the earlier heads whose blocks may have ended before it. A change may
add conditions to an open call, but remove none; it may not add conditions to a check; the order of anchors stays.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from governance.irongate.syntax import BLOCKS, source
from governance.irongate.unattended.calls import Calls
from governance.irongate.unattended.flow import assigned_places, changed_objects, given_names, shared_names
from governance.irongate.unattended.units import Found, Scoped, Unit, fingerprint, heads, inside, steps_of

CHECKS = (ast.Raise, ast.Assert)
ENDS = (ast.Return, ast.Raise, ast.Break, ast.Continue)
TURNING, LOOPS = (ast.Break, ast.Continue), (ast.For, ast.AsyncFor, ast.While)
TURNING_NAMES = tuple(one.__name__.encode() for one in TURNING)
SILENT_EXITS = (ast.Return, ast.Break, ast.Continue)
CONDITIONAL_EXPRESSIONS = (ast.BoolOp, ast.IfExp)
CONDITION_FIELDS = ("test", "iter", "subject")
OWN_SCOPES = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)


class AnchorKind(Enum):
    """Kinds of anchors."""

    OPEN = "a call that may reach out"
    ALONE = "a call that is made for what it does"
    CHECK = "a check"
    FED = "a value that goes to a call that may reach out"


class AnchorPlace(NamedTuple):
    """The enclosing heads of a statement from the outermost in (``around``), and their kinds (``nested``)."""

    around: tuple[bytes, ...]
    nested: tuple[bytes, ...]


class CodeAnchor(NamedTuple):
    """``around`` and ``nested``: as in ``AnchorPlace``. ``before``: earlier heads whose blocks may have ended this one.

    ``exits``: number of earlier ``return``, ``break`` and ``continue``, which may skip the anchor without an error.
    """

    what: AnchorKind
    key: bytes
    shown: str
    around: tuple[bytes, ...]
    before: Counter[bytes]
    nested: tuple[bytes, ...]
    exits: int
    is_mild: bool = False


class Anchors:
    """The anchors of one function, in source order.

    ``by_search``: the change was made by the daemon's own search; then only calls with known effects are anchors.
    """

    def __init__(self, every: Sequence[Unit], calls: Calls, *, by_search: bool) -> None:
        self._calls, self._every, self._by_search = calls, every, by_search
        self.fed = self._fed()
        self.shared = self._shared()
        self.all: list[CodeAnchor] = []
        inner = {id(step) for unit in every for step in inside(unit.node)}
        self._exits = 0
        self._block([unit.node for unit in every if id(unit.node) not in inner], AnchorPlace((), ()), Counter())

    def of(self, *whats: AnchorKind) -> list[CodeAnchor]:
        """The anchors of these kinds."""
        return [one for one in self.all if one.what in whats]

    def _block(self, steps: Sequence[ast.AST], place: AnchorPlace, before: Counter[bytes]) -> None:
        for step in steps:
            kind = type(step).__name__.encode()
            head = b"".join([kind, *map(fingerprint, heads(step))])
            self.all += self._step(step, head, place, Counter(before))
            if isinstance(step, Scoped):
                continue  # a nested function or class is compared as a scope of its own
            for field in BLOCKS:
                block = getattr(step, field, None)
                if isinstance(block, list):
                    inner = AnchorPlace((*place.around, head + field.encode()), (*place.nested, kind + field.encode()))
                    self._block(block, inner, before)
            before.update(_endings(step))
            self._exits += isinstance(step, SILENT_EXITS)

    def _step(self, step: ast.AST, head: bytes, place: AnchorPlace, before: Counter[bytes]) -> Iterator[CodeAnchor]:
        def anchor(what: AnchorKind, key: bytes, shown: str, *, is_mild: bool = False) -> CodeAnchor:
            return CodeAnchor(what, key, shown, place.around, before, place.nested, self._exits, is_mild)

        for part in heads(step):
            for call, deciders in self._open(part, step):
                key = fingerprint(call) + b"".join(deciders)
                yield anchor(AnchorKind.OPEN, key, source(call)[:60], is_mild=self._is_mild(call))
        if isinstance(step, CHECKS) and not self._by_search:
            yield anchor(AnchorKind.CHECK, _check_key(step), "a check")
        alone = step.value if isinstance(step, ast.Expr) and not self._by_search else None
        if isinstance(alone, ast.Call) and self._calls.keeps(alone) is None:
            callee = source(alone.func)[:60]
            yield anchor(AnchorKind.ALONE, callee.encode("utf-8", "surrogatepass"), callee)
        for name in self._feeds(step):
            yield anchor(AnchorKind.FED, head + _turns_of(step), name)

    def _feeds(self, step: ast.AST) -> Iterator[str]:
        """Names that a statement assigns or may change, and whose values reach an open call."""
        found = {name: None for name, _ in given_names(step) if name in self.fed}
        found |= {name: None for name in changed_objects(step) if name in self.shared}
        yield from found
        for part in heads(step) if not isinstance(step, Scoped) else ():
            for call in (node for node in ast.walk(part) if isinstance(node, ast.Call)):
                if not self._has_to_stay(call):  # else it is an anchor itself
                    yield from sorted(self._calls.may_change(call, self.shared))

    def _open(self, part: ast.AST, step: ast.AST) -> Iterator[tuple[ast.Call, tuple[bytes, ...]]]:
        """Open calls in ``part``, each with fingerprints of the expressions that decide whether it is made."""
        raised = step.exc if isinstance(step, ast.Raise) and not self._calls.is_function(step.exc) else None
        left: list[tuple[ast.AST, tuple[bytes, ...]]] = [(part, ())]
        while left:
            node, deciders = left.pop()
            if isinstance(node, ast.Call) and node is not raised and self._has_to_stay(node):
                yield node, deciders
            for child in reversed(list(ast.iter_child_nodes(node))):
                more = deciders
                if isinstance(node, OWN_SCOPES):
                    more = (*deciders, fingerprint(part))  # the number, arguments and order are compared elsewhere
                elif isinstance(node, CONDITIONAL_EXPRESSIONS) and not _is_always_evaluated(node, child):
                    more = (*deciders, fingerprint(node))
                left.append((child, more))

    def _has_to_stay(self, call: ast.Call) -> bool:
        """Whether a change has to leave this call as it is."""
        if self._calls.keeps(call) is not None:
            return False
        return self._calls.acts(call) if self._by_search else self._calls.is_open(call)

    def _is_mild(self, call: ast.Call) -> bool:
        return not self._by_search and self._calls.is_mild(call)

    def _acting(self, node: ast.AST) -> Iterator[ast.Call]:
        """Open calls in the blocks of a statement, without mild ones."""
        for step in ast.walk(node):
            if isinstance(step, ast.stmt) and step is not node:
                yield from self._acting_in(step)

    def _acting_in(self, step: ast.AST) -> Iterator[ast.Call]:
        """Open calls in a statement's own head, without mild ones."""
        for part in heads(step):
            yield from (call for call, _ in self._open(part, step) if not self._is_mild(call))

    def _fed(self) -> dict[str, str]:
        """Names and attributes whose values reach an open call, each with that call's source text."""
        found: dict[str, str] = {}
        for unit in self._every:
            for part in unit.parts():
                for call, deciders in self._open(part, unit.node):
                    shown = source(call.func)[:60]
                    found |= dict.fromkeys(assigned_places(part), shown) if fingerprint(part) in deciders else {}
                    for arg in (*call.args, *(word.value for word in call.keywords)):
                        found |= dict.fromkeys(assigned_places(arg), shown)
                    if isinstance(call.func, ast.Attribute):
                        found |= dict.fromkeys(assigned_places(call.func.value), shown)
        acting = [(call.lineno, source(call)[:60]) for unit in self._every for call in self._acting_in(unit.node)]
        for unit in self._every:
            test = next((one for name in CONDITION_FIELDS if (one := getattr(unit.node, name, None)) is not None), None)
            if isinstance(unit.node, ast.stmt) and test is not None:
                later_calls = acting if any(_endings(unit.node)) else ()  # it may end the block before they are made
                later = (shown for line, shown in later_calls if line > unit.node.lineno)
                acts = next((source(call)[:60] for call in self._acting(unit.node)), next(later, ""))
                found |= dict.fromkeys(assigned_places(test), f"whether {acts}") if acts else {}
        pairs = [pair for unit in self._every for pair in given_names(unit.node)]
        deciding = [(assigned_places(test), inner) for unit in self._every for test, inner in _decided(unit.node)]
        for _ in range(len(pairs) + len(deciding) if found else 0):
            more = {
                one: found[name] for name, value in pairs if name in found and value for one in assigned_places(value)
            }
            for test, inner in deciding:  # what decides which value is given
                shown = next((found[name] for name in inner if name in found), "")
                more |= dict.fromkeys(test, shown) if shown else {}
            if more.keys() <= found.keys():
                break
            found = more | found
        return found

    def _shared(self) -> dict[str, str]:
        """The names of ``_fed``, and those that may refer to the same objects, which change with them."""
        found = dict(self.fed)
        pairs = [(name, value) for unit in self._every for name, value in given_names(unit.node) if value is not None]
        for _ in range(len(pairs) if found else 0):
            more = {name: found[one] for name, value in pairs for one in shared_names(value) if one in found}
            more |= {one: found[name] for name, value in pairs if name in found for one in shared_names(value)}
            if more.keys() <= found.keys():
                break
            found = more | found
        return found


def _decided(step: ast.AST) -> Iterator[tuple[ast.expr, list[str]]]:
    """The condition of a statement with the names assigned in its blocks; of a loop also each condition of an exit."""
    test = next((one for name in CONDITION_FIELDS if (one := getattr(step, name, None)) is not None), None)
    if not isinstance(step, ast.stmt) or test is None:
        return
    inner = [each for each in ast.walk(step) if isinstance(each, ast.stmt) and each is not step]
    names = [name for each in inner for name, _ in given_names(each)]
    yield test, names
    if isinstance(step, LOOPS):
        names += [name for name, _ in given_names(step)]
        turning = (
            each for each in inner if isinstance(each, ast.If) and any(isinstance(n, TURNING) for n in ast.walk(each))
        )
        yield from ((each.test, names) for each in turning)


def _turns_of(step: ast.AST) -> bytes:
    """The ``break`` and ``continue`` statements of a loop, as bytes; empty for other statements."""
    if not isinstance(step, LOOPS):
        return b""
    return b"".join(sorted(one for one in _endings(step) if one.endswith(TURNING_NAMES)))


def _endings(step: ast.AST) -> Iterator[bytes]:
    """For each statement in ``step``, at any depth, that ends its block: the heads around it."""
    if isinstance(step, ast.Assert):
        yield fingerprint(step.test)
    elif isinstance(step, ENDS):
        yield type(step).__name__.encode()
    elif not isinstance(step, Scoped):
        head = b"".join(map(fingerprint, heads(step)))
        for field, inner in steps_of(step):
            yield from (head + field.encode() + one for one in _endings(inner))


def find_problems(old: Anchors, new: Anchors) -> Iterator[Found]:
    """Every anchor that the change removes, moves, or makes conditional."""
    yield from _calls(old, new)
    yield from _find_removed_checks(old, new)
    yield from _fed(old, new)
    left = iter(new.all)
    for one in old.all:
        if not any((one.what, one.key) == (other.what, other.key) for other in left):
            yield "order", f"moves or takes away {one.shown}"
            return


def _calls(old: Anchors, new: Anchors) -> Iterator[Found]:
    """Open calls that are added, removed, called with other arguments, or called under fewer conditions."""
    had, has = (Counter(one.key for one in every.of(AnchorKind.OPEN)) for every in (old, new))
    shown = {one.key: one.shown for every in (old, new) for one in every.of(AnchorKind.OPEN)}
    yield from (("call", f"calls {shown[key]}, which may have effects outside the program") for key in has - had)
    yield from (("removal", f"takes away {shown[key]}") for key in had - has)
    left = old.of(AnchorKind.OPEN)
    for one in new.of(AnchorKind.OPEN):
        fits = next((o for o in left if o.key == one.key and (one.is_mild or _is_as_bound(o, one))), None)
        if fits is not None:
            left.remove(fits)
        elif one.key in had:
            yield "condition", f"calls {one.shown} under other conditions"


def _fed(old: Anchors, new: Anchors) -> Iterator[Found]:
    """Values that reach an open call and are assigned by other statements, or under other conditions."""
    had = Counter((one.key, one.around) for one in old.of(AnchorKind.FED))
    for one in new.of(AnchorKind.FED):
        if had[one.key, one.around] <= 0:
            yield "argument", f"gives {one.shown} another value, which goes to {new.shared[one.shown]}"
        had[one.key, one.around] -= 1


def _is_as_bound(old: CodeAnchor, new: CodeAnchor) -> bool:
    return old.around == new.around and old.before <= new.before


def _find_removed_checks(old: Anchors, new: Anchors) -> Iterator[Found]:
    """Checks, and calls whose result is not used, that are removed, or that a new exit before them may skip."""
    left = new.of(AnchorKind.CHECK, AnchorKind.ALONE)
    for one in old.of(AnchorKind.CHECK, AnchorKind.ALONE):
        same = [each for each in left if (each.what, each.key, each.nested) == (one.what, one.key, one.nested)]
        fits = next((each for each in same if each.exits <= one.exits), None)
        if fits is None:
            yield "removal", f"takes away {one.shown}, or holds it back"
        else:
            left.remove(fits)


def _check_key(step: ast.AST) -> bytes:
    """The identity of a check: its kind, and the exception that it raises."""
    raised = step.exc if isinstance(step, ast.Raise) else None
    made = raised.func if isinstance(raised, ast.Call) else raised
    return type(step).__name__.encode() + (fingerprint(made) if made is not None else b"")


def _is_always_evaluated(node: ast.AST, child: ast.AST) -> bool:
    """Whether a part of a conditional expression is evaluated in any case."""
    return child is (node.values[0] if isinstance(node, ast.BoolOp) else getattr(node, "test", None))
