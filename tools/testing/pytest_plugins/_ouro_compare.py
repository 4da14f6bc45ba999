"""Reports the operands of the comparisons in the tests' assertions. PYTEST_DONT_REWRITE

Standard library and pytest only, Python 3.9 syntax: like the reporter (``_ouro_pytest_plugin.py``) this file is read as
text by the runner and executed inside the sandbox. When pytest has rewritten a test file, a call is inserted after
every comparison of an ``assert``, and around ``self.assertEqual`` and its like and ``pytest.raises``. It records both
operands as plain data, so that another process can repeat the comparison (``report/comparisons.py``). No method of a
value is called: exact builtin types are written out, their subclasses by their builtin content, other values by type
name only.

Events: ``instrumented`` (a file and its lines, when it is rewritten: before a line of it has run) and ``compared`` (a
test, its rows, and which lines were reached). A row is JSON: file, line, operation, left, right, result.
"""

from __future__ import annotations

import ast
import builtins
import json
import types
from collections.abc import Iterator
from typing import Any

import _pytest.assertion.rewrite as rewriting
import pytest

ROWS, ROW_CHARS, ALL_CHARS = 200, 20_000, 200_000
NODES, DEPTH = 2_000, 12
OPERATIONS = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
_METHODS = {
    "==": "Equal Equals ListEqual TupleEqual DictEqual SetEqual MultiLineEqual",
    "same": "SequenceEqual",
    "count": "CountEqual",
    "!=": "NotEqual",
    "is": "Is",
    "is not": "IsNot",
    "in": "In",
    "not in": "NotIn",
    "<": "Less",
    "<=": "LessEqual",
    ">": "Greater",
    ">=": "GreaterEqual",
}
METHODS = {f"assert{name}": operation for operation, names in _METHODS.items() for name in names.split()}
ONE = {"assertTrue": "true", "assertFalse": "false", "assertIsNone": "none", "assertIsNotNone": "not none"}
SAW, CALLED, RAISES = "_ouro_saw", "_ouro_called", "_ouro_raises"
WELL_KNOWN = ("fractions", "decimal", "_pydecimal", "datetime", "_pytest.", "enum", "pathlib")
HEAP = 1 << 9  # of a class that a ``class`` statement has made
COMPARING = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__contains__", "__bool__")
_mro = type.__dict__["__mro__"].__get__
_space = type.__dict__["__dict__"].__get__
_flags = type.__dict__["__flags__"].__get__
_name = type.__dict__["__qualname__"].__get__
_BUILTIN_ERRORS = {
    id(value): name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
_dumps, _type, _id = json.dumps, type, id


class TooMuch(Exception):
    """More than is written down."""


class Writer:
    """Writes one value down, without calling a method of it. ``program``: whether a file is the program's."""

    def __init__(self, program: Any) -> None:
        self._program = program
        self._left = NODES

    def value(self, value: Any) -> Any:
        self._left = NODES
        try:
            return self._of(value, DEPTH)
        except TooMuch:
            return ["?", "more than is compared", 0]

    def _of(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth < 0:
            raise TooMuch
        kind = _type(value)
        written = self._exact(value, kind, depth)
        if written is not _NOT:
            return written
        for base in _mro(kind)[1:]:
            if base in _BASES:
                own = self._own(kind, base)
                plain = self._exact(_BASES[base](value), base, depth)
                return plain if own == 0 else ["<", _name(kind), own, plain]
        return ["?", _name(kind), self._own(kind, object)]

    def _own(self, kind: type, base: type) -> int:
        """0: compared as ``base`` is, or by C code; 1: by code that is none of the program's; 2: by code of it."""
        most = 0
        for each in _mro(kind):
            if each is base or each is object:
                break
            for name in COMPARING:
                if name in _space(each):
                    most = max(most, self._whose(each, name))
        return most

    def _whose(self, kind: type, name: str) -> int:
        if self.is_programs(kind, name):
            return 2
        written = _type(_space(kind)[name]) is types.FunctionType
        return 1 if written and not _space(kind).get("__module__", "").startswith(WELL_KNOWN) else 0

    def is_programs(self, kind: type, name: str) -> bool:
        """Whether a class gives a method that the program has written, or has put there."""
        function = _space(kind)[name]
        if _type(function) is types.FunctionType:
            return bool(self._program(function.__code__.co_filename))
        return bool(_flags(kind) & HEAP) and name != "__hash__"

    def _exact(self, value: Any, kind: type, depth: int) -> Any:
        """JSON for a value of exactly this builtin type."""
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -(2**62) < value < 2**62 else ["i", hex(value)]
        if kind is str:
            return self._text(value)
        if kind is float:
            return ["f", value.hex()]
        if kind is bytes or kind is bytearray:
            if len(value) > ROW_CHARS:
                raise TooMuch
            return ["b" if kind is bytes else "B", value.hex()]
        if kind is complex:
            return ["c", value.real.hex(), value.imag.hex()]
        if kind is dict:
            return ["d", [[self._of(k, depth - 1), self._of(v, depth - 1)] for k, v in dict.items(value)]]
        if kind in _SEQUENCES:
            iterated: Any = kind.__iter__  # type: ignore[attr-defined]
            return [_SEQUENCES[kind], [self._of(one, depth - 1) for one in iterated(value)]]
        if value is Ellipsis or value is NotImplemented:
            return ["e", "..." if value is Ellipsis else "NotImplemented"]
        return _NOT

    @staticmethod
    def _text(value: str) -> Any:
        if len(value) > ROW_CHARS:
            raise TooMuch
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return ["u", value.encode("utf-8", "surrogatepass").hex()]
        return value


_NOT = object()
_SEQUENCES: dict[Any, str] = {list: "l", tuple: "t", set: "S", frozenset: "F"}
_BASES: dict[Any, Any] = {
    int: int.__int__,
    str: str.__str__,
    float: float.__float__,
    bytes: lambda v: bytes.__getitem__(v, slice(None)),
    list: lambda v: list.__getitem__(v, slice(None)),
    tuple: lambda v: tuple(tuple.__iter__(v)),
    dict: dict.copy,
    set: set.copy,
    frozenset: lambda v: frozenset(frozenset.__iter__(v)),
}


class Instrument(ast.NodeTransformer):
    """Lays the calls into a rewritten file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.lines: set[int] = set()

    def _call(self, name: str, node: Any, args: list[Any]) -> Any:
        self.lines.add(node.lineno)
        where = ast.Attribute(ast.Name("@pytest_ar", ast.Load()), name, ast.Load())
        place = [ast.Constant(self._path), ast.Constant(node.lineno)]
        return located(ast.Call(where, [*place, *args], []), node)

    def body(self, statements: list[Any]) -> list[Any]:
        out: list[Any] = []
        for statement in statements:
            out.append(self.visit(statement))
            more = self._behind(statement)
            if more is not None:
                out.append(more)
        return out

    def generic_visit(self, node: Any) -> Any:
        for name, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                setattr(node, name, self.body(value))
            elif isinstance(value, list):
                setattr(node, name, [self.visit(v) if isinstance(v, ast.AST) else v for v in value])
            elif isinstance(value, ast.AST):
                setattr(node, name, self.visit(value))
        return node

    def _behind(self, statement: Any) -> Any:
        """A call with both operands, for a comparison that pytest has assigned to a name; else None."""
        if not (isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Compare)):
            return None
        target, compare = statement.targets[0], statement.value
        if not (isinstance(target, ast.Name) and target.id.startswith("@py_assert")):
            return None
        sides = (compare.left, *compare.comparators)
        if len(sides) != 2 or not all(isinstance(side, (ast.Name, ast.Constant)) for side in sides):
            return None
        args = [ast.Constant(OPERATIONS[type(compare.ops[0])]), *map(again, sides), ast.Name(target.id, ast.Load())]
        return located(ast.Expr(self._call(SAW, compare, args)), compare)

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        function = node.func
        if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
            return node
        starred = any(isinstance(arg, ast.Starred) for arg in node.args)
        wanted = 2 if function.attr in METHODS else 1 if function.attr in ONE else 0
        if function.value.id != "self" or starred or not 0 < wanted <= len(node.args):
            return node
        operation = METHODS.get(function.attr) or ONE[function.attr]
        call = self._call(CALLED, node, [ast.Constant(operation), ast.Constant(wanted), function, *node.args])
        call.keywords = node.keywords
        return call

    def visit_With(self, node: ast.With) -> Any:
        self.generic_visit(node)
        for item in node.items:
            if _is_raising(item.context_expr):
                item.context_expr = self._call(RAISES, item.context_expr, [item.context_expr])
        return node


def _is_raising(call: Any) -> bool:
    """``pytest.raises(X)`` or ``self.assertRaises(X)``."""
    function = call.func if isinstance(call, ast.Call) and len(call.args) == 1 else None
    if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
        return False
    return (function.value.id, function.attr) in (("pytest", "raises"), ("self", "assertRaises"))


def located(made: Any, node: Any) -> Any:
    """``made``, with the position of ``node`` for every part that has none."""
    for each in ast.walk(made):
        if isinstance(each, (ast.expr, ast.stmt)) and getattr(each, "lineno", None) is None:
            ast.copy_location(each, node)
    return made


def again(side: Any) -> Any:
    return ast.Name(side.id, ast.Load()) if isinstance(side, ast.Name) else ast.Constant(side.value)


class Raising:
    """A ``pytest.raises`` that reports the exception."""

    def __init__(self, compared: Compared, place: tuple[str, int], inner: Any) -> None:
        self._compared, self._place, self._inner = compared, place, inner

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(self, kind: Any, value: Any, trace: Any) -> Any:
        __tracebackhide__ = True
        done = self._inner.__exit__(kind, value, trace)
        if done:
            wanted: Any = getattr(self._inner, "expected_exceptions", None)
            wanted = getattr(self._inner, "expected", None) if wanted is None else wanted
            wanted = getattr(self._inner, "expected_exception", None) if wanted is None else wanted
            every: Any = wanted if _type(wanted) is tuple else (wanted,)
            names = ["t", [_BUILTIN_ERRORS.get(_id(one)) or ["?", "an exception", 0] for one in every]]
            raised = _BUILTIN_ERRORS.get(_id(kind)) or ["?", _name(kind), 0]
            self._compared.row(*self._place, "raises", raised, names, True)
        return done


class Compared:
    """The pytest plugin."""

    def __init__(self, reporter: Any, project: Any) -> None:
        self._reporter, self._project = reporter, project
        self._writer = Writer(self._is_program)
        self._rows: list[str] = []
        self._size = 0
        self._more = False
        self._lines: set[tuple[str, int]] = set()
        self._original = rewriting.rewrite_asserts
        module: Any = rewriting
        module.rewrite_asserts = self.rewrite
        setattr(module, SAW, self.saw)
        setattr(module, CALLED, self.called)
        setattr(module, RAISES, self.raises)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_load_initial_conftests(self, early_config: Any) -> Iterator[None]:
        forked = getattr(early_config.known_args_namespace, "forked", False)
        if forked:  # what a child sees is told to nobody
            rewriting.rewrite_asserts = self._original
        yield

    def _is_program(self, file: str) -> bool:
        """Whether a file of the repository is none of its tests."""
        path = self._project.relative(file)
        if path is None:
            return False
        *folders, name = path.split("/")
        helping = {"test", "tests", "testing"}.intersection(folders) or name == "conftest.py"
        return not helping and not name.startswith("test_") and not name.endswith("_test.py")

    def rewrite(self, mod: ast.Module, source: bytes, module_path: Any = None, config: Any = None) -> None:
        self._original(mod, source, module_path, config)
        path = self._project.relative(str(module_path)) if module_path else None
        if path is None or not any(self._has_name(node) for node in mod.body):
            return
        instrument = Instrument(path)
        mod.body[:] = instrument.body(mod.body)
        self._reporter.emit("instrumented", file=path, lines=sorted(instrument.lines))

    @staticmethod
    def _has_name(node: Any) -> bool:
        """Whether pytest has laid the names there that our calls are found by; not in a file that asks it not to."""
        return isinstance(node, ast.Import) and any(alias.asname == "@pytest_ar" for alias in node.names)

    # What the calls do.

    def saw(self, path: str, line: int, operation: str, left: Any, right: Any, came: Any) -> None:
        __tracebackhide__ = True
        if came is True and operation in ("==", "!="):
            self._always(path, line, operation, left, right)
        write = self._writer.value
        self.row(path, line, operation, write(left), write(right), write(came))

    def called(self, path: str, line: int, operation: str, count: int, method: Any, *args: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        came = method(*args, **named)
        left, right = args[0], args[1] if count > 1 else None
        if operation in ("==", "!="):
            self._always(path, line, operation, left, right)
        self.row(path, line, operation, self._writer.value(left), self._writer.value(right), True)
        return came

    def raises(self, path: str, line: int, inner: Any) -> Any:
        return Raising(self, (path, line), inner)

    def _always(self, path: str, line: int, operation: str, *sides: Any) -> None:
        """Report a value of a class of the program that compares equal, or unequal, to everything."""
        name = "__eq__" if operation == "==" else "__ne__"
        for side in sides:
            kind = _type(side)
            owner = next((each for each in _mro(kind) if name in _space(each)), object)
            if owner is not object and self._writer.is_programs(owner, name):
                try:
                    answer = side == object() if operation == "==" else side != side
                except Exception:  # noqa: BLE001  (code of the repository)
                    answer = False
                if answer is True:
                    self.row(path, line, "always", _name(kind), None, True)

    def row(self, path: str, line: int, operation: str, left: Any, right: Any, came: Any) -> None:
        self._lines.add((path, line))
        if len(self._rows) >= ROWS or self._size > ALL_CHARS:
            self._more = True
            return
        text = _dumps([path, line, operation, left, right, came])
        if len(text) > ROW_CHARS:
            text = _dumps([path, line, operation, ["?", "more than is compared", 0], None, True])
        self._rows.append(text)
        self._size += len(text)

    # Of one test.

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._rows, self._size, self._more, self._lines = [], 0, False, set()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if self._lines:
            lines = [[path, line] for path, line in sorted(self._lines)]
            self._reporter.emit("compared", id=nodeid, rows=self._rows, more=self._more, lines=lines)


def make(reporter: Any, project: Any, asked: dict[str, Any]) -> Compared:
    return Compared(reporter, project)
