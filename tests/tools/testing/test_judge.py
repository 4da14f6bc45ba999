"""What a test compared, compared again from plain data."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.python_source import parse
from tools.testing.pytest_plugins._ouro_compare import Instrument, Writer
from tools.testing.report.comparisons import HeardComparisons, PassedTestVerdict, required_assertions, weigh

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
WRITE = Writer(lambda file: file.endswith("program.py")).value


def heard(*rows: list[Any], more: bool = False) -> HeardComparisons:
    lines = frozenset((row[0], row[1]) for row in rows)
    return HeardComparisons(rows=tuple(json.dumps(row) for row in rows), more=more, lines=lines)


def row(operation: str, left: Any, right: Any, came: object = True, line: int = 2) -> list[Any]:
    return ["t.py", line, operation, WRITE(left), WRITE(right), came]


def of(*rows: list[Any]) -> PassedTestVerdict:
    return weigh(heard(*rows), ())


def in_program(source: str) -> Any:
    space: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, "/repo/program.py", "exec"), space)
    return space["value"]


@given(PLAIN, PLAIN)
def test_plain_values_are_compared_as_python_compares_them(left: Any, right: Any) -> None:
    equal = left == right
    assert of(row("==", left, right, equal)) == PassedTestVerdict() == of(row("!=", left, right, not equal))
    assert of(row("==", left, right, not equal)).wrong and of(row("!=", left, right, equal)).wrong


@given(PLAIN)
def test_a_value_equals_itself(value: Any) -> None:
    assert of(row("==", value, value)) == PassedTestVerdict()


@pytest.mark.parametrize(
    ("operation", "left", "right"),
    [
        ("<", 1, 2), (">=", 2.0, 2), ("in", 1, [1]), ("not in", "x", {"y": 1}), ("is", None, None), ("is not", 3, None),
        ("same", (1, 2), [1, 2]), ("count", [1, 2, 2], [2, 1, 2]), ("true", 3, None), ("false", "", None),
        ("none", None, None), ("not none", 0, None), ("==", frozenset({1}), {1}), ("==", {1: {2}}, {1.0: {2}}),
        ("==", "\udcff", "\udcff"), ("==", 2**80, 2**80), ("==", 1j, 1j), ("==", ..., ...),
    ],
)  # fmt: skip
def test_each_operation(operation: str, left: Any, right: Any) -> None:
    if operation == "is not":
        assert of(row(operation, left, right)).unsure
    else:
        assert of(row(operation, left, right)) == PassedTestVerdict()
        assert of(row(operation, left, right, False)).wrong


def test_a_subclass_that_compares_as_its_base_is_compared_as_that() -> None:
    kind = in_program("class value(int): pass")
    assert of(row("==", kind(3), 3)) == PassedTestVerdict()
    assert of(row("==", kind(4), 3)).wrong


@pytest.mark.parametrize("base", ["int", "str", "float", "list", "dict", "object"])
def test_where_the_program_compares_the_values_stand_beside_each_other(base: str) -> None:
    kind = in_program(f"class value({base}):\n    __hash__ = None\n    def __eq__(self, other): return True")
    assert of(row("==", kind(), 53)).doubt
    assert of(row("==", {"a": kind()}, {"a": 53})).doubt
    assert of(row("==", [kind()], [kind()])).unsure


def test_what_is_of_another_class_is_not_sure() -> None:
    from decimal import Decimal

    assert of(row("==", Decimal(1), 1)).unsure
    assert weigh(None, ()).unsure and of().unsure
    assert weigh(heard(row("==", 1, 1), more=True), ()).unsure


def test_no_method_of_a_value_is_called_to_write_it() -> None:
    loud = "def no(*a, **k): raise RuntimeError\n"
    names = (
        "__int__",
        "__index__",
        "__repr__",
        "__str__",
        "__iter__",
        "__len__",
        "__getattribute__",
        "__eq__",
        "__bool__",
    )
    body = "".join(f"    {name} = no\n" for name in names) + "    __hash__ = None\n"
    for base, plain in (("int", 0), ("str", ""), ("list", []), ("dict", []), ("tuple", []), ("set", [])):
        kind = in_program(f"{loud}class value({base}):\n{body}")
        written = WRITE(kind())
        assert written[0] == "<" and written[2] == 2
        assert written[3] == plain or written[3][1] == plain


def test_exceptions() -> None:
    assert weigh(heard(["t.py", 2, "raises", "KeyError", ["t", ["LookupError"]], True]), ()) == PassedTestVerdict()
    assert weigh(heard(["t.py", 2, "raises", "KeyError", ["t", ["ValueError"]], True]), ()).wrong
    assert weigh(heard(["t.py", 2, "raises", ["?", "Own", 0], ["t", ["ValueError"]], True]), ()).unsure


@given(st.text() | st.lists(st.none() | st.integers() | st.text(), max_size=7).map(json.dumps))
def test_any_text_is_weighed(text: str) -> None:
    weigh(HeardComparisons(rows=(text,), more=False, lines=frozenset()), ())


SOURCE = """
import pytest


def test_one():
    value = 1
    assert value == 1
    for one in ():
        assert one == 2
    if value:
        return
    assert value == 3


@pytest.mark.parametrize("a", [1])
def test_two(a):
    assert (
        a
        == 1
    )


@elsewhere
def test_three():
    assert 1 == 1


class TestFour:
    def test_four(self):
        self.assertEqual(1, 1)
"""
LINES = {"t.py": tuple(range(1, 40))}
PARSED = {"t.py": parse(SOURCE)}


@pytest.mark.parametrize(
    ("test", "lines"),
    [("test_one", [(7, 7)]), ("test_two[1]", [(17, 20)]), ("test_three", []), ("TestFour::test_four", [(30, 30)])],
)
def test_assertions_that_nothing_leads_around(test: str, lines: list[tuple[int, int]]) -> None:
    assert sorted(required_assertions(PARSED, f"t.py::{test}", LINES)) == [("t.py", *each) for each in lines]


def test_an_assertion_that_had_to_be_reached() -> None:
    which = required_assertions(PARSED, "t.py::test_one", LINES)
    assert weigh(heard(row("==", 1, 1, line=7)), which) == PassedTestVerdict()
    assert "never reached" in weigh(heard(row("==", 1, 1, line=9)), which).wrong
    assert "never reached" in weigh(None, which).wrong
    assert "failed" in weigh(heard(row("==", 1, 2, came=False, line=7)), which).wrong
    assert not required_assertions(PARSED, "t.py::test_one", {}), (
        "nothing can be asked of a file that was not rewritten"
    )
    assert not required_assertions({"t.py": parse("def (")}, "t.py::test_one", LINES)


def test_an_ill_placed_node_does_not_break_a_file() -> None:
    tree = ast.parse("def test_a(self):\n    self.assertEqual(\n        1,\n        1,\n    )\n")
    tree.body = Instrument("t.py").body(tree.body)
    compile(tree, "t.py", "exec")
