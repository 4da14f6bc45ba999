"""Repeats the comparisons of the tests' assertions outside of the process that ran the tests. Pure.

Program and tests share a process, so that a passed assertion is untrusted. Both operands are reported as plain data
(``_ouro_compare.py``), read into builtin values here and compared by our own interpreter. Assertions that a passing
test cannot skip, by its source, must have been reached.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import operator
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.parsers.json import read_json
from ledger.python_source import parse

HARMLESS = frozenset({"pytest", "mock", "patch", "given", "settings", "example", "staticmethod", "unittest"})
"""Decorators that run the test as it is."""
ROW_CHARS, ALL_CHARS = 25_000, 250_000
"""Maximum characters of one comparison, and of all of one test; the plugin reports fewer."""
DEPTH = 64
"""Maximum nesting of a reported value; the plugin reports less."""
STEPS = 20_000_000
"""Limit of comparisons of single values for one run's report: some seconds."""
_MARKS = {"...": Ellipsis, "NotImplemented": NotImplemented}
_UNLIKE_ANY = "its comparison is not in the reporter's format"


class _Opaque(Exception):
    """A value that cannot be read here; its text names the type."""


class _Spent(Exception):
    """The limit of steps is used up."""


class Meter:
    """Counts down the steps of comparing. Comparisons beyond the limit are not made."""

    def __init__(self, steps: int = STEPS) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Raises ``_Spent`` when there are none left."""
        self._left -= steps
        if self._left < 0:
            raise _Spent

    def hashed(self, values: Iterable[Any]) -> None:
        """Steps of hashing a set or the keys of a dictionary: values of one hash are compared with each other."""
        counts = Counter(map(hash, values)).values()
        self.spend(sum(count * count for count in counts))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One reported comparison."""

    path: str
    line: int
    operation: str
    left: Any
    right: Any
    came: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardComparisons:
    """Report of one test: compared ``rows``, whether there were ``more``, and reached ``lines`` of assertions."""

    rows: tuple[str, ...]
    more: bool
    lines: frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedTestVerdict:
    """Result for a passed test. ``wrong``: it cannot have passed. ``doubt``: the program's own code decided equality.
    ``unsure``: it could not be compared here. All empty: confirmed."""

    wrong: str = ""
    doubt: str = ""
    unsure: str = ""


class _ValueReader:
    """Reads one reported value. Raises ``_Opaque`` for types that are not builtin.

    Raises ``ValueError``, ``TypeError``, ``KeyError`` or ``IndexError`` for a malformed one.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def value(self, written: Any) -> Any:
        if not isinstance(written, list):
            self._meter.spend(1)
            return written
        kind, rest = written[0], written[1:]
        self._meter.spend(1 + (len(rest[0]) // 8 if isinstance(rest[0], str) else 0))
        match kind:
            case "?" | "<":
                raise _Opaque(str(rest[0])[:80])
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
                pairs = [(self.value(key), self.value(value)) for key, value in rest[0]]
                self._meter.hashed(key for key, _ in pairs)
                return dict(pairs)
            case "l" | "t":
                values = [self.value(one) for one in rest[0]]
                return values if kind == "l" else tuple(values)
            case "S" | "F":
                values = [self.value(one) for one in rest[0]]
                self._meter.hashed(values)
                return set(values) if kind == "S" else frozenset(values)
        raise ValueError(kind)


def _level(written: Any) -> int:
    """Whose code compares a value: 0 builtin types or C code, 1 other Python code, 2 the program's."""
    if not isinstance(written, list):
        return 0
    own = int(written[2]) if written[:1] in (["?"], ["<"]) else 0
    return max([own, *(_level(one) for one in written)])


def _shape(written: Any, depth: int = DEPTH) -> Any:
    """The contents of a value without its class, where that is derived from a builtin one.

    Raises ``ValueError`` for too deep a value.
    """
    if not isinstance(written, list):
        return written
    if not depth:
        raise ValueError("too deep")
    if written[:1] == ["<"]:
        return _shape(written[3], depth - 1)
    shapes = [_shape(one, depth - 1) for one in written]
    return sorted(shapes, key=repr) if written[:1] in (["S"], ["F"], ["d"]) else shapes


def _raised(name: Any, wanted: Any) -> bool:
    """Whether one builtin exception is a subclass of others."""
    kinds = [getattr(builtins, str(each)) for each in (name, *wanted)]
    return issubclass(kinds[0], tuple(kinds[1:]))


def _alike(left: list[Any], right: list[Any], meter: Meter) -> bool:
    """Whether both have the same elements, in any order."""
    with contextlib.suppress(TypeError):  # a list, for one, has no hash
        meter.hashed([*left, *right])
        return Counter(left) == Counter(right)
    meter.spend(sum(map(_weight, left)) * max(1, len(right)))
    for each in left:
        if each not in right:
            return False
        right.remove(each)
    return not right


def _weight(value: Any) -> int:
    """Number of steps of comparing a value once."""
    if isinstance(value, dict):
        return 1 + sum(_weight(key) + _weight(each) for key, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return 1 + sum(map(_weight, value))
    return 1


_OPERATIONS: Mapping[str, Callable[[Any, Any], object]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
    "same": lambda a, b: list(a) == list(b),
    "true": lambda a, b: bool(a),
    "false": lambda a, b: not a,
    "none": lambda a, b: a is None,
    "not none": lambda a, b: a is not None,
}


def _again(operation: str, left: Any, right: Any, meter: Meter) -> bool:
    if operation == "raises":
        return _raised(left, right)
    if operation in ("is", "is not"):
        alike = left is right if left is None or isinstance(left, bool) else None
        if alike is None:
            raise _Opaque("identity")
        return alike is (operation == "is")
    if operation == "count":
        return _alike(list(left), list(right), meter)
    for side in (left, right):
        if isinstance(side, set | frozenset | dict):
            meter.hashed(side)
    meter.spend(_weight(left) + _weight(right))
    return bool(_OPERATIONS[operation](left, right))


def _row(text: str) -> _Row | None:
    """The comparison of a row; None for a malformed one."""
    if len(text) > ROW_CHARS:
        return None
    try:
        path, line, operation, left, right, came = read_json(text)
    except (ValueError, TypeError, RecursionError):
        return None
    if not (isinstance(path, str) and type(line) is int and isinstance(operation, str)):
        return None
    return _Row(path=path, line=line, operation=operation, left=left, right=right, came=came)


def _of_row(row: _Row, meter: Meter) -> PassedTestVerdict:
    where, operation, left, right = f"{row.path}:{row.line}", row.operation, row.left, row.right
    if operation == "always":
        return PassedTestVerdict(wrong=f"at {where} a value of {str(left)[:80]} equals everything by its own code")
    reader = _ValueReader(meter)
    try:
        claimed = reader.value(row.came)
        if not isinstance(claimed, bool):
            return PassedTestVerdict(unsure=f"at {where} no plain yes or no came of the comparison")
        if _again(operation, reader.value(left), reader.value(right), meter) is not claimed:
            return PassedTestVerdict(wrong=f"at {where} it is not so that {_short(left)} {operation} {_short(right)}")
    except _Opaque as opaque:
        by_itself = max(_level(left), _level(right)) > 0 and operation in ("==", "!=", "same")
        if by_itself and _shape(left) != _shape(right):
            return PassedTestVerdict(doubt=f"at {where} a value of {opaque} equals something else by its own code")
        return PassedTestVerdict(unsure=f"at {where} the values cannot be compared by another process ({opaque})")
    except (TypeError, AttributeError, ValueError):
        return PassedTestVerdict(unsure=f"at {where} the values cannot be compared by another process")
    return PassedTestVerdict()


def _short(written: Any) -> str:
    try:
        return repr(_ValueReader(Meter()).value(written))[:80]
    except (_Opaque, _Spent, ValueError):  # a number of more digits than are written out, for one
        return "it"


def weigh(
    heard: HeardComparisons | None, needed: Collection[tuple[str, int, int]], meter: Meter | None = None
) -> PassedTestVerdict:
    """Check one passed test. ``needed``: file, first and last line of assertions that must have been reached and hold.

    ``meter`` is that of the whole run.
    """
    meter = meter or Meter()
    texts = heard.rows if heard is not None else ()
    if sum(map(len, texts)) > ALL_CHARS:
        return PassedTestVerdict(wrong=_UNLIKE_ANY)
    rows = [_row(text) for text in texts]
    reached = _by_file(heard.lines if heard is not None else ())
    failed = _by_file((row.path, row.line) for row in rows if row is not None and row.came is False)
    for path, first, last in sorted(needed):
        if not _any_between(reached.get(path, ()), first, last):
            return PassedTestVerdict(wrong=f"its assertion at {path}:{first} was never reached")
        if _any_between(failed.get(path, ()), first, last):
            return PassedTestVerdict(wrong=f"its assertion at {path}:{first} failed")
    if heard is None or not heard.rows:
        return PassedTestVerdict(unsure="nothing that it compares could be seen")
    found = [_rate(row, meter) for row in rows]
    worst = next((each for each in found if each.wrong), None) or next((each for each in found if each.doubt), None)
    if worst is not None:
        return worst
    if heard.more:
        return PassedTestVerdict(unsure="it compares more than is looked at")
    return next((each for each in found if each.unsure), PassedTestVerdict())


def _by_file(places: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    """The lines of each file, in order."""
    found: dict[str, list[int]] = {}
    for path, line in sorted(places):
        found.setdefault(path, []).append(line)
    return found


def _any_between(lines: Sequence[int], first: int, last: int) -> bool:
    """Whether one of the sorted ``lines`` is between ``first`` and ``last``."""
    at = bisect_left(lines, first)
    return at < len(lines) and lines[at] <= last


def _rate(row: _Row | None, meter: Meter) -> PassedTestVerdict:
    if row is None:
        return PassedTestVerdict(wrong=_UNLIKE_ANY)
    try:
        meter.spend(1)
        return _of_row(row, meter)
    except _Spent:
        return PassedTestVerdict(unsure=f"at {row.path}:{row.line} is more than is compared by another process")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError):
        return PassedTestVerdict(wrong=_UNLIKE_ANY)


def required_assertions(
    sources: Mapping[str, ast.Module | None], test: str, instrumented: Mapping[str, Sequence[int]]
) -> frozenset[tuple[str, int, int]]:
    """Assertions that a passing test cannot have skipped: file, first and last line."""
    path, *names = test.partition("[")[0].split("::")
    lines, tree = instrumented.get(path), sources.get(path)
    if lines is None or tree is None or not names:
        return frozenset()
    body: Sequence[ast.stmt] = tree.body
    found: ast.AST | None = None
    for name in names:
        found = _last(body, name)
        if not isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or not _is_plain(found):
            return frozenset()
        body = found.body
    if not isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
        return frozenset()
    spans = [(s.lineno, s.end_lineno or s.lineno) for s in _in_a_row(found.body)]
    return frozenset((path, a, b) for a, b in spans if _any_between(lines, a, b))


def _last(body: Sequence[ast.stmt], name: str) -> ast.stmt | None:
    """The only definition of a name; None when there are several."""
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
    """Assertions at a function's own level, up to the first statement that may return."""
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
    passed: Collection[str],
    heard: Mapping[str, HeardComparisons],
    instrumented: Mapping[str, Collection[int]],
    sources: Mapping[str, str],
) -> dict[str, PassedTestVerdict]:
    """Check every passed test, in time linear in the report's size plus :data:`STEPS`."""
    meter, lines = Meter(), {path: sorted(each) for path, each in instrumented.items()}
    trees = {path: parse(source) for path, source in sources.items()}
    return {test: weigh(heard.get(test), required_assertions(trees, test, lines), meter) for test in passed}
