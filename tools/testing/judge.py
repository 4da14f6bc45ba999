"""Compares once more, outside of the process that ran the tests, what its assertions have compared. Pure.

The program and its tests share a process, so that an assertion that passed is a claim. What both sides were is told in
plain data (``_ouro_compare.py``); here it is read into builtin values of our own, and compared by our own interpreter.
The test's source says which of its assertions nothing leads around: each has to have been reached.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import operator
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.parsers.json import read_json

HARMLESS = frozenset({"pytest", "mock", "patch", "given", "settings", "example", "staticmethod", "unittest"})
"""Decorators of tests that do not call the test as they please."""
_OPERATIONS: Mapping[str, Callable[[Any, Any], object]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "in": lambda a, b: a in b, "not in": lambda a, b: a not in b, "same": lambda a, b: list(a) == list(b),
    "count": lambda a, b: _alike(list(a), list(b)),
    "true": lambda a, b: bool(a), "false": lambda a, b: not a, "none": lambda a, b: a is None,
    "not none": lambda a, b: a is not None,
}  # fmt: skip
_MARKS = {"...": Ellipsis, "NotImplemented": NotImplemented}


def _alike(left: list[Any], right: list[Any]) -> bool:
    """Whether both hold the same, in any order."""
    for each in left:
        if each not in right:
            return False
        right.remove(each)
    return not right


class _Opaque(Exception):
    """A value that cannot be read here; says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a run said of one test: the ``rows`` it compared, whether there were ``more``, the ``lines`` it reached."""

    rows: tuple[str, ...]
    more: bool
    lines: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Of a test that passed. ``wrong``: it cannot have. ``doubt``: the program's own code said so. ``unsure``: it could
    not be compared here. All empty: confirmed."""

    wrong: str = ""
    doubt: str = ""
    unsure: str = ""


def _read(written: Any) -> Any:
    """The value; raises ``_Opaque`` for what is none of the builtin types."""
    if not isinstance(written, list):
        return written
    kind, rest = written[0], written[1:]
    match kind:
        case "?" | "<":
            raise _Opaque(str(rest[0]))
        case "i":
            return int(rest[0], 16)
        case "f":
            return float.fromhex(rest[0])
        case "c":
            return complex(float.fromhex(rest[0]), float.fromhex(rest[1]))
        case "b" | "B":
            return bytes.fromhex(rest[0]) if kind == "b" else bytearray.fromhex(rest[0])
        case "u":
            return bytes.fromhex(rest[0]).decode("utf-8", "surrogatepass")
        case "e":
            return _MARKS[rest[0]]
        case "d":
            return {_read(key): _read(value) for key, value in rest[0]}
        case "l" | "t" | "S" | "F":
            return {"l": list, "t": tuple, "S": set, "F": frozenset}[kind](_read(one) for one in rest[0])
    raise ValueError(kind)


def _level(written: Any) -> int:
    """Who compares what is in it: 0 builtin types or C code, 1 Python code of others, 2 that of the program."""
    if not isinstance(written, list):
        return 0
    own = int(written[2]) if written[:1] in (["?"], ["<"]) else 0
    return max([own, *(_level(one) for one in written)])


def _shape(written: Any) -> Any:
    """What is in it, without regard to what it says of itself: of a class that is made of a builtin one, the latter."""
    if not isinstance(written, list):
        return written
    if written[:1] == ["<"]:
        return _shape(written[3])
    shapes = [_shape(one) for one in written]
    return sorted(shapes, key=repr) if written[:1] in (["S"], ["F"], ["d"]) else shapes


def _raised(name: Any, wanted: Any) -> bool:
    """Whether one builtin exception is one of others."""
    kinds = [getattr(builtins, str(each)) for each in (name, *wanted)]
    return issubclass(kinds[0], tuple(kinds[1:]))


def _again(operation: str, left: Any, right: Any) -> bool:
    if operation == "raises":
        return _raised(left, right)
    if operation in ("is", "is not"):
        alike = left is right if left is None or isinstance(left, bool) else None
        if alike is None:
            raise _Opaque("identity")
        return alike is (operation == "is")
    return bool(_OPERATIONS[operation](left, right))


def _of_row(row: str) -> Standing:
    path, line, operation, left, right, came = read_json(row)
    where = f"{path}:{line}"
    if operation == "always":
        return Standing(wrong=f"at {where} a value of {left} says that it equals everything")
    try:
        claimed = _read(came)
        if not isinstance(claimed, bool):
            return Standing(unsure=f"at {where} no plain yes or no came of the comparison")
        if _again(operation, _read(left), _read(right)) is not claimed:
            return Standing(wrong=f"at {where} it is not so that {_short(left)} {operation} {_short(right)}")
    except _Opaque as opaque:
        by_itself = max(_level(left), _level(right)) > 0 and operation in ("==", "!=", "same")
        if by_itself and _shape(left) != _shape(right):
            return Standing(doubt=f"at {where} a value of {opaque} says by itself that it equals something else")
        return Standing(unsure=f"at {where} the values cannot be compared by another process ({opaque})")
    except (TypeError, AttributeError, ValueError):
        return Standing(unsure=f"at {where} the values cannot be compared by another process")
    return Standing()


def _short(written: Any) -> str:
    with contextlib.suppress(_Opaque):
        return repr(_read(written))[:80]
    return "it"


def weigh(heard: Heard | None, needed: Collection[tuple[str, int, int]]) -> Standing:
    """Of one test that passed. ``needed``: file, first and last line of assertions that had to be reached, and hold."""
    reached = heard.lines if heard is not None else frozenset()
    failed = {place for row in (heard.rows if heard is not None else ()) if (place := _failed(row)) is not None}
    for path, first, last in sorted(needed):
        if not any(file == path and first <= line <= last for file, line in reached):
            return Standing(wrong=f"its assertion at {path}:{first} was never reached")
        if any(file == path and first <= line <= last for file, line in failed):
            return Standing(wrong=f"its assertion at {path}:{first} failed")
    if heard is None or not heard.rows:
        return Standing(unsure="nothing that it compares could be seen")
    found = [_rated(row) for row in heard.rows]
    worst = next((each for each in found if each.wrong), None) or next((each for each in found if each.doubt), None)
    if worst is not None:
        return worst
    if heard.more:
        return Standing(unsure="it compares more than is looked at")
    return next((each for each in found if each.unsure), Standing())


def _failed(row: str) -> tuple[str, int] | None:
    """Where a comparison came to no; None where it did not."""
    with contextlib.suppress(ValueError, TypeError):
        path, line, *_, came = read_json(row)
        return (str(path), int(line)) if came is False else None
    return None


def _rated(row: str) -> Standing:
    try:
        return _of_row(row)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError):
        return Standing(wrong="what it compared is not written as it is ever written")


def needed(
    sources: Mapping[str, str], test: str, instrumented: Mapping[str, Collection[int]]
) -> frozenset[tuple[str, int, int]]:
    """Assertions that a test which passes cannot have gone around: file, first and last line."""
    path, *names = test.partition("[")[0].split("::")
    lines, source = instrumented.get(path), sources.get(path)
    if lines is None or source is None or not names:
        return frozenset()
    try:
        body: Sequence[ast.stmt] = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    found: ast.AST | None = None
    for name in names:
        found = _last(body, name)
        if not isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or not _is_plain(found):
            return frozenset()
        body = found.body
    if not isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
        return frozenset()
    spans = [(s.lineno, s.end_lineno or s.lineno) for s in _in_a_row(found.body)]
    return frozenset((path, a, b) for a, b in spans if any(a <= line <= b for line in lines))


def _last(body: Sequence[ast.stmt], name: str) -> ast.stmt | None:
    """The definition that counts, where a name is given several times; None where something else gives it as well."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = [s for s in body if isinstance(s, kinds) and s.name == name]
    return found[0] if len(found) == 1 else None


def _is_plain(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return all(_root(each) in HARMLESS for each in node.decorator_list)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _in_a_row(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Assertions of a function's own level, up to the first statement that may leave it."""
    for statement in body:
        if _asserts(statement):
            yield statement
        elif any(isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) for node in ast.walk(statement)):
            return


def _asserts(statement: ast.stmt) -> bool:
    """``assert a == b`` and the like, or ``self.assertEqual(a, b)``."""
    if isinstance(statement, ast.Assert):
        return isinstance(statement.test, ast.Compare)
    call = statement.value if isinstance(statement, ast.Expr) else None
    function = call.func if isinstance(call, ast.Call) else None
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "self"
        and function.attr.startswith("assert")
    )


def standings(
    passed: Collection[str], heard: Mapping[str, Heard], instrumented: Mapping[str, Collection[int]],
    sources: Mapping[str, str],
) -> dict[str, Standing]:  # fmt: skip
    """Of every test that passed."""
    return {test: weigh(heard.get(test), needed(sources, test, instrumented)) for test in passed}
