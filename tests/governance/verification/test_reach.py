"""Which functions a change is about, and what is said of those that no test enters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.verification.reach import ChangedFunction, Reach, changed_functions, reach_of
from ledger.vocabulary import Edit, EditKind, RunCoverage

OLD = """\
import os


def outer(x):
    @wrapped
    def inner(y):
        return y
    return inner(x)


class Shop:
    size = 1

    @property
    def total(self):
        return 1

    @total.setter
    def total(self, value):
        self._total = value


pick = lambda x: x
"""


def names(old: str, new: str) -> list[str] | None:
    found = changed_functions(old.encode(), new.encode())
    return None if found is None else sorted(each.display_name for each in found)


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("return y", "return -y", ["outer.inner"]),
        ("return inner(x)", "return inner(-x)", ["outer"]),
        ("    @wrapped\n", "", ["outer", "outer.inner"]),
        ("    @property\n", "", ["Shop.total"]),
        ("_total = value", "_total = -value", ["Shop.total"]),
        ("size = 1", "size = 2", []),
        ("lambda x: x", "lambda x: -x", ["the lambda in line 23"]),
        ("import os\n", "import os\n\n\ndef new():\n    return 1\n", ["new"]),
        ("class Shop", "class Store", ["Store.total", "Store.total"]),
        ("def outer(x)", "async def outer(x)", ["outer"]),
        ("    return inner(x)\n", "    return inner(x)\n\n\ndef outer(x):\n    return 2\n", ["outer"]),
        ("class Shop:\n", "class Shop:\n    # a comment\n", None),
        ("        return 1\n", '        """One."""\n        return 1\n', None),
    ],
)
def test_functions_whose_code_is_another_one(old: str, new: str, wanted: list[str] | None) -> None:
    assert old in OLD
    assert names(OLD, OLD.replace(old, new, 1)) == wanted


def test_where_the_code_of_a_function_begins() -> None:
    found = changed_functions(OLD.encode(), OLD.replace("_total = value", "_total = -value").encode())
    assert found == (ChangedFunction(line=18, name="total", display_name="Shop.total"),)


def test_all_functions_of_a_file_that_did_not_parse_or_was_not_there() -> None:
    for before in (None, b"def f(:\n"):
        assert [one.display_name for one in changed_functions(before, b"def f():\n    return 1\n") or ()] == ["f"]


@given(st.integers(0, 40))
def test_deep_and_hostile_files_are_read(depth: int) -> None:
    text = "".join(f"{' ' * level}def f():\n" for level in range(depth)) + f"{' ' * depth}x = {'-' * 3000}1\n"
    changed_functions(b"", text.encode())


def edit(path: str, after: bytes | None) -> Edit:
    return Edit(path=path, kind=EditKind.MODIFY, before="0", after=after)


def test_tests_and_documents_are_none_of_the_sources() -> None:
    new = b"def f():\n    return 2\n"
    edits = [edit(path, new) for path in ("a.py", "tests/test_a.py", "README.md", "web/a.js")] + [edit("b.py", None)]
    assert reach_of(edits, {"a.py": b"def f():\n    return 1\n"}).files == ("a.py", "web/a.js")


REACH = Reach(files=("a.py", "b.py"), functions=(("a.py", 1, "f", "f"), ("b.py", 3, "g", "A.g")))


def test_what_is_said_of_what_no_test_reaches() -> None:
    seen = RunCoverage(files=frozenset({"a.py", "b.py"}), functions=frozenset({("a.py", 1, "f")}))
    assert REACH.unreached(seen, by_function=True) == ("no failing test runs A.g in b.py",)
    assert REACH.unreached(seen, by_function=False) == ()
    only = RunCoverage(files=frozenset({"a.py"}), functions=frozenset({("a.py", 1, "f")}))
    assert REACH.unreached(only, by_function=True) == ("no failing test loads b.py",)
    assert REACH.unreached(only, by_function=False) == ("no test loads b.py",)
    assert len(REACH.unreached(None, by_function=True)) == 2
    assert "only the first calls" in REACH.unreached(seen.model_copy(update={"cut": True}), by_function=True)[0]
