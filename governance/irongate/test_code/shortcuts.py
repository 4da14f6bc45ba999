"""Ways in which changed program code passes a test without a repair: part of gate 16.

Skipping the test from inside, special cases for the test's own values, catching the test's exception. Program code
never does the first; the others may be right, so they raise the tier.
"""

from __future__ import annotations

import ast
import textwrap
from collections import Counter
from collections.abc import Collection, Iterator

from governance.irongate.syntax import imported_names, parse, source

HARNESS = frozenset({"pytest", "_pytest", "unittest", "nose"})
SKIPS = frozenset({"skip", "xfail", "SkipTest", "importorskip", "exit", "Skipped", "XFailed", "Exit"})
DOUBLES = "unittest.mock"
"""What programs use of a runner's library."""
ALSO = frozenset({"os._exit", "self.skipTest"})
BROAD = frozenset({"", "Exception", "BaseException", "AssertionError"})
MUCH = 2
"""More values, or statements, than one that a repair takes away: most put something in another's place."""
COMMON = frozenset(repr(v) for v in (None, True, False, 0, 1, -1, 2, 10, 100, "", 0.0, 1.0, "utf-8"))
"""Literals that are too common to count when a test and the code share them."""


def literals(tree: ast.AST) -> frozenset[str]:
    """Literals but for common ones: small integers, booleans, None, empty texts."""
    return frozenset(repr(n.value) for n in ast.walk(tree) if isinstance(n, ast.Constant)) - COMMON


def find_removed(before: ast.Module | None, after: ast.Module) -> tuple[str, ...]:
    """Values and statements that were removed without a replacement: a test may pass because nothing is left."""
    if before is None:
        return ()
    old, new = _values_of(before), _values_of(after)
    gone = sorted((old - new).elements())
    found = tuple(dict.fromkeys(gone)) if len(gone) - (new - old).total() >= MUCH else ()
    fewer = _statements_of(before) - _statements_of(after)
    return (*found, f"what {fewer} statements did") if fewer >= MUCH else found


def _values_of(tree: ast.Module) -> Counter[str]:
    """How often a program has each literal. Documentation is left out."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in said)
    return Counter(repr(n.value) for n in constants if n.value is not None)


def _statements_of(tree: ast.Module) -> int:
    nodes = (n for n in ast.walk(tree) if isinstance(n, ast.stmt) and not isinstance(n, ast.Pass))
    return sum(not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)) for n in nodes)


def find_test_skips(before: ast.Module | None, after: ast.Module) -> tuple[str, ...]:
    """New code that ends or skips a test from the inside."""
    old = set(_skips(before)) if before is not None else set()
    return tuple(what for what in dict.fromkeys(_skips(after)) if what not in old)


def _skips(tree: ast.Module) -> Iterator[str]:
    names = imported_names(tree)
    yield from filter(_ends_a_test, names.values())
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            said = source(node)
            root, dot, rest = said.partition(".")
            # As it is written, too: a module of that name may hand the real one on.
            yield from filter(_ends_a_test, (f"{names.get(root, root)}{dot}{rest}", said))


def _ends_a_test(name: str) -> bool:
    parts = name.split(".")
    return name in ALSO or (parts[0] in HARNESS and parts[-1] in SKIPS)


def find_runner_use(before: ast.Module | None, after: ast.Module) -> tuple[str, ...]:
    """Libraries of test runners that a program uses from now on: what skips a test has many names in them."""
    old = set(_harnesses(before)) if before is not None else set()
    return tuple(name for name in dict.fromkeys(_harnesses(after)) if name not in old)


def _harnesses(tree: ast.Module) -> Iterator[str]:
    for name in imported_names(tree).values():
        if name.partition(".")[0] in HARNESS and not f"{name}.".startswith(f"{DOUBLES}."):
            yield name.partition(".")[0]


def find_special_cases(before: ast.Module | None, after: ast.Module, tests: Collection[str]) -> tuple[str, ...]:
    """New conditions on a literal that a failing test has and the file did not have."""
    told = literals_of(tests) - (literals(before) if before is not None else frozenset())
    return tuple(dict.fromkeys(text for asked in _asked(after) for text in sorted(literals(asked) & told)))


def _asked(tree: ast.AST) -> Iterator[ast.AST]:
    """What something is compared with, or looked up by: equal to a value, one of several, the key of a table."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for left, sign, right in zip(operands, node.ops, operands[1:], strict=False):
                if isinstance(sign, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                    yield from (one for side in (left, right) for one in _values(side))
        elif isinstance(node, ast.match_case):
            yield node.pattern
        elif (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict)) or (
            isinstance(node, ast.Attribute) and node.attr == "get" and isinstance(node.value, ast.Dict)
        ):
            yield from (key for key in node.value.keys if key is not None)


def _values(side: ast.expr) -> Iterator[ast.expr]:
    """A literal itself, with or without a sign, or those that a display holds; nothing of what is computed."""
    left: list[ast.expr] = [side]  # no recursion: displays nest without a bound
    while left:
        one = left.pop()
        if isinstance(one, ast.Constant):
            yield one
        elif isinstance(one, ast.UnaryOp):
            left += [one.operand] if isinstance(one.operand, ast.Constant) else []
        elif isinstance(one, ast.Tuple | ast.List | ast.Set):
            left += one.elts
        elif isinstance(one, ast.Dict):
            left += [part for part in (*one.keys, *one.values) if part is not None]


def find_copied_literals(before: ast.Module | None, after: ast.Module, tests: Collection[str]) -> tuple[str, ...]:
    """Literals that a failing test and the new file have, and the old file had not."""
    new = literals(after) - (literals(before) if before is not None else frozenset())
    return tuple(sorted(new & literals_of(tests)))


def literals_of(tests: Collection[str]) -> frozenset[str]:
    """The same for the tests' texts that parse."""
    trees = [parse(textwrap.dedent(text)) for text in tests]
    return frozenset[str]().union(*(literals(tree) for tree in trees if tree is not None))


def find_new_handlers(before: ast.Module | None, after: ast.Module) -> tuple[tuple[str, bool], ...]:
    """New handlers that do not always raise again: what they catch, and whether that is nearly everything.

    A ``finally`` that leaves by itself takes every exception away, so it counts as one.
    """
    old = [_caught(handler) for handler in _handlers(before)] if before is not None else []
    found = []
    for handler in _handlers(after):
        caught = _caught(handler)
        if caught in old:
            old.remove(caught)
        elif not _always_raises(handler.body):
            names = {name.rpartition(".")[2] for name in caught.strip("(),").replace(" ", "").split(",")}
            found.append((caught or "everything", bool(BROAD & names)))
    return tuple(dict.fromkeys(found))


def _always_raises(body: list[ast.stmt]) -> bool:
    """Whether every path through these statements raises."""
    for step in body:
        if isinstance(step, ast.Raise):
            return True
        if isinstance(step, ast.Return | ast.Break | ast.Continue):
            return False
        if isinstance(step, ast.If) and _always_raises(step.body) and _always_raises(step.orelse):
            return True
    return False


def find_handlers_of(before: ast.Module | None, after: ast.Module, raised: Collection[str]) -> tuple[str, ...]:
    """Those of the exceptions ``raised`` by failing tests that more handlers catch now, whatever they do then.

    The handler may well be the one that was missing; or it replaces the exception by another one.
    """
    old, new = (Counter(_names(tree)) if tree is not None else Counter[str]() for tree in (before, after))
    return tuple(name for name in sorted(set(raised)) if new[name] > old[name])


def _names(tree: ast.Module) -> Iterator[str]:
    """Every class that a handler catches, by its last name."""
    for handler in _handlers(tree):
        caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        yield from (source(one).rpartition(".")[2] for one in caught if one is not None)


def _handlers(tree: ast.Module) -> list[ast.ExceptHandler]:
    nodes = list(ast.walk(tree))
    plain = [node for node in nodes if isinstance(node, ast.ExceptHandler)]
    plain += [_as_handler(node) for node in nodes if isinstance(node, ast.Call) and _suppresses(node)]
    silent = [node for node in nodes if isinstance(node, ast.Try | ast.TryStar) and _leaves(node.finalbody)]
    return plain + [ast.ExceptHandler(type=None, name=None, body=[ast.Pass()]) for _ in silent]


def _leaves(body: list[ast.stmt]) -> bool:
    """Whether one of these statements returns, or leaves an enclosing loop."""
    left: list[tuple[ast.AST, bool]] = [(step, False) for step in body]
    while left:
        node, in_loop = left.pop()
        if isinstance(node, ast.Return) or (isinstance(node, ast.Break | ast.Continue) and not in_loop):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            loop = in_loop or isinstance(node, ast.For | ast.AsyncFor | ast.While)
            left += [(child, loop) for child in ast.iter_child_nodes(node)]
    return False


def _suppresses(call: ast.Call) -> bool:
    return source(call.func) in ("suppress", "contextlib.suppress")


def _as_handler(call: ast.Call) -> ast.ExceptHandler:
    return ast.ExceptHandler(type=ast.Tuple(elts=call.args, ctx=ast.Load()), name=None, body=[ast.Pass()])


def _caught(handler: ast.ExceptHandler) -> str:
    return source(handler.type) if handler.type is not None else ""
