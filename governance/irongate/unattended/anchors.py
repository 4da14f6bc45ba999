"""Anchors: parts of a function that an unattended change has to leave in place. Pure.

They are calls that may reach out, calls that are made for their effect, checks, and values that go to a call that may
reach out. An anchor has a kind, the heads around it, and the earlier heads that may have ended a block. A change may
add conditions to what acts, but remove none; it may not add conditions to a check; the order stays.
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
UNSEEN = (ast.Return, ast.Break, ast.Continue)
TURNS = (ast.BoolOp, ast.IfExp)
DECIDES = ("test", "iter", "subject")
OWN_SCOPES = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)


class AnchorKind(Enum):
    """What an anchor holds."""

    OPEN = "a call that may reach out"
    ALONE = "a call that is made for what it does"
    CHECK = "a check"
    FED = "a value that goes to a call that may reach out"


class AnchorPlace(NamedTuple):
    """Heads from outside in, and their kinds."""

    around: tuple[bytes, ...]
    nested: tuple[bytes, ...]


class CodeAnchor(NamedTuple):
    """``around``: the heads from outside in. ``before``: earlier heads that may have ended a block.

    ``nested``: the kinds of the heads around it. ``exits``: how many of those before it may have ended the call unseen.
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
    """The anchors of one function, in the order of the text.

    ``by_search``: the daemon's own search made the change; then only calls that act have to stay.
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
        """Those of these kinds."""
        return [one for one in self.all if one.what in whats]

    def _block(self, steps: Sequence[ast.AST], place: AnchorPlace, before: Counter[bytes]) -> None:
        for step in steps:
            kind = type(step).__name__.encode()
            said = b"".join([kind, *map(fingerprint, heads(step))])
            self.all += self._step(step, said, place, Counter(before))
            if isinstance(step, Scoped):
                continue  # its parts are judged by themselves
            for field in BLOCKS:
                block = getattr(step, field, None)
                if isinstance(block, list):
                    inner = AnchorPlace((*place.around, said + field.encode()), (*place.nested, kind + field.encode()))
                    self._block(block, inner, before)
            before.update(_endings(step))
            self._exits += isinstance(step, UNSEEN)

    def _step(self, step: ast.AST, said: bytes, place: AnchorPlace, before: Counter[bytes]) -> Iterator[CodeAnchor]:
        def anchor(what: AnchorKind, key: bytes, shown: str, *, is_mild: bool = False) -> CodeAnchor:
            return CodeAnchor(what, key, shown, place.around, before, place.nested, self._exits, is_mild)

        for part in heads(step):
            for call, turns in self._open(part, step):
                key = fingerprint(call) + b"".join(turns)
                yield anchor(AnchorKind.OPEN, key, source(call)[:60], is_mild=self._is_mild(call))
        if isinstance(step, CHECKS) and not self._by_search:
            yield anchor(AnchorKind.CHECK, _check(step), "a check")
        alone = step.value if isinstance(step, ast.Expr) and not self._by_search else None
        if isinstance(alone, ast.Call) and self._calls.keeps(alone) is None:
            callee = source(alone.func)[:60]
            yield anchor(AnchorKind.ALONE, callee.encode("utf-8", "surrogatepass"), callee)
        for name in self._feeds(step):
            yield anchor(AnchorKind.FED, said + _turns_of(step), name)

    def _feeds(self, step: ast.AST) -> Iterator[str]:
        """Names that a statement gives a value or may change, and that go to a call that may reach out."""
        found = {name: None for name, _ in given_names(step) if name in self.fed}
        found |= {name: None for name in changed_objects(step) if name in self.shared}
        yield from found
        for part in heads(step) if not isinstance(step, Scoped) else ():
            for call in (node for node in ast.walk(part) if isinstance(node, ast.Call)):
                if not self._is_held(call):  # else it is an anchor itself
                    yield from sorted(self._calls.may_change(call, self.shared))

    def _open(self, part: ast.AST, step: ast.AST) -> Iterator[tuple[ast.Call, tuple[bytes, ...]]]:
        """Open calls, with what decides inside of an expression whether they are made, and with what."""
        raised = step.exc if isinstance(step, ast.Raise) and not self._calls.is_function(step.exc) else None
        left: list[tuple[ast.AST, tuple[bytes, ...]]] = [(part, ())]
        while left:
            node, turns = left.pop()
            if isinstance(node, ast.Call) and node is not raised and self._is_held(node):
                yield node, turns
            for child in reversed(list(ast.iter_child_nodes(node))):
                more = turns
                if isinstance(node, OWN_SCOPES):
                    more = (*turns, fingerprint(part))  # the number, arguments and order are compared elsewhere
                elif isinstance(node, TURNS) and not _is_first(node, child):
                    more = (*turns, fingerprint(node))
                left.append((child, more))

    def _is_held(self, call: ast.Call) -> bool:
        """Whether a call has to stay as it is."""
        if self._calls.keeps(call) is not None:
            return False
        return self._calls.acts(call) if self._by_search else self._calls.is_open(call)

    def _is_mild(self, call: ast.Call) -> bool:
        return not self._by_search and self._calls.is_mild(call)

    def _acting(self, node: ast.AST) -> Iterator[ast.Call]:
        """Calls below a statement that may reach out, and of which something is found that acts."""
        for step in ast.walk(node):
            if isinstance(step, ast.stmt) and step is not node:
                yield from self._acting_in(step)

    def _acting_in(self, step: ast.AST) -> Iterator[ast.Call]:
        """The same in a statement's own head."""
        for part in heads(step):
            yield from (call for call, _ in self._open(part, step) if not self._is_mild(call))

    def _fed(self) -> dict[str, str]:
        """Names and attributes, as written, whose values go to a call that may reach out."""
        found: dict[str, str] = {}
        for unit in self._every:
            for part in unit.parts():
                for call, turns in self._open(part, unit.node):
                    shown = source(call.func)[:60]
                    found |= dict.fromkeys(assigned_places(part), shown) if fingerprint(part) in turns else {}
                    for arg in (*call.args, *(word.value for word in call.keywords)):
                        found |= dict.fromkeys(assigned_places(arg), shown)
                    if isinstance(call.func, ast.Attribute):
                        found |= dict.fromkeys(assigned_places(call.func.value), shown)
        acting = [(call.lineno, source(call)[:60]) for unit in self._every for call in self._acting_in(unit.node)]
        for unit in self._every:
            test = next((one for name in DECIDES if (one := getattr(unit.node, name, None)) is not None), None)
            if isinstance(unit.node, ast.stmt) and test is not None:
                behind = acting if any(_endings(unit.node)) else ()  # it may end the block before they are made
                later = (shown for line, shown in behind if line > unit.node.lineno)
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
        """Those, and names that may stand for the same objects: what changes one of these changes the other."""
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
    """What a statement asks, and the names that get a value in its blocks; in a loop also what may end it there."""
    test = next((one for name in DECIDES if (one := getattr(step, name, None)) is not None), None)
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
    """What ends a loop, or one of its rounds, before the rest of it."""
    if not isinstance(step, LOOPS):
        return b""
    return b"".join(sorted(one for one in _endings(step) if one.endswith(TURNING_NAMES)))


def _endings(step: ast.AST) -> Iterator[bytes]:
    """For each step that ends its block, in ``step`` or at any depth of it: the heads around it."""
    if isinstance(step, ast.Assert):
        yield fingerprint(step.test)
    elif isinstance(step, ENDS):
        yield type(step).__name__.encode()
    elif not isinstance(step, Scoped):
        said = b"".join(map(fingerprint, heads(step)))
        for field, inner in steps_of(step):
            yield from (said + field.encode() + one for one in _endings(inner))


def find_problems(old: Anchors, new: Anchors) -> Iterator[Found]:
    """Everything that does not stay."""
    yield from _calls(old, new)
    yield from _held_back(old, new)
    yield from _fed(old, new)
    left = iter(new.all)
    for one in old.all:
        if not any((one.what, one.key) == (other.what, other.key) for other in left):
            yield "order", f"moves or takes away {one.shown}"
            return


def _calls(old: Anchors, new: Anchors) -> Iterator[Found]:
    """What may reach out is called as often as before and with the same, and what acts under no fewer conditions."""
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
    """What goes to a call that may reach out is given its values by the same statements, under the same conditions."""
    had = Counter((one.key, one.around) for one in old.of(AnchorKind.FED))
    for one in new.of(AnchorKind.FED):
        if had[one.key, one.around] <= 0:
            yield "argument", f"gives {one.shown} another value, which goes to {new.shared[one.shown]}"
        had[one.key, one.around] -= 1


def _is_as_bound(old: CodeAnchor, new: CodeAnchor) -> bool:
    return old.around == new.around and old.before <= new.before


def _held_back(old: Anchors, new: Anchors) -> Iterator[Found]:
    """Checks and calls that are made for what they do are there, and nothing new ends their block before them."""
    left = new.of(AnchorKind.CHECK, AnchorKind.ALONE)
    for one in old.of(AnchorKind.CHECK, AnchorKind.ALONE):
        same = [each for each in left if (each.what, each.key, each.nested) == (one.what, one.key, one.nested)]
        fits = next((each for each in same if each.exits <= one.exits), None)
        if fits is None:
            yield "removal", f"takes away {one.shown}, or holds it back"
        else:
            left.remove(fits)


def _check(step: ast.AST) -> bytes:
    """What a check is known by: its kind, and what it raises."""
    raised = step.exc if isinstance(step, ast.Raise) else None
    made = raised.func if isinstance(raised, ast.Call) else raised
    return type(step).__name__.encode() + (fingerprint(made) if made is not None else b"")


def _is_first(node: ast.AST, child: ast.AST) -> bool:
    """Whether a part is always computed, whatever the other parts yield."""
    return child is (node.values[0] if isinstance(node, ast.BoolOp) else getattr(node, "test", None))
