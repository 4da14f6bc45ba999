"""Errors that stand on a screen, as they are and as they are misread; and what is none of ours."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.vision.screen_text import ScreenError, loose, real_tests, recognise

FILES = ["shop/cart.py", "shop/price_list.py", "tests/test_cart.py", "web/src/order_form.jsx", "setup.py", "lib/io.py"]
TRACE = """\
me@box:~/shop$ python -m shop
Traceback (most recent call last):
  File "/home/me/shop/shop/cart.py", line 12, in total
    return add(prices)
  File "/home/me/shop/shop/price_list.py", line 7, in add
    return 1 / 0
  File "/usr/lib/python3.11/decimal.py", line 99, in x
ZeroDivisionError: division by zero
me@box:~/shop$
"""
PYTEST = """\
=================== FAILURES ===================
>       assert total([1]) == 2
E       AssertionError: assert 1 == 2
tests/test_cart.py:5: AssertionError
============ short test summary info ===========
FAILED tests/test_cart.py::test_total_with_discount - AssertionError: assert 1 == 2
"""
SCRIPT = """\
Uncaught TypeError: Cannot read properties of undefined (reading 'id')
    at render (http://localhost:3000/web/src/order_form.jsx?t=17:41:12)
    at Object.run (webpack:///./node_modules/react-dom/index.js:10:1)
"""


def seen(text: str) -> ScreenError:
    found = recognise(text, FILES, top="shop")
    assert found is not None
    return found


def test_a_traceback() -> None:
    found = seen(TRACE)
    assert [(p.path, p.line) for p in found.places] == [("shop/price_list.py", 7), ("shop/cart.py", 12)]
    assert (found.error, found.kind, found.path) == (
        "ZeroDivisionError: division by zero", "ZeroDivisionError", "shop/price_list.py"
    )  # fmt: skip


def test_a_failing_test() -> None:
    found = seen(PYTEST)
    assert found.tests == (("tests/test_cart.py", "test_total_with_discount"),)
    assert found.error.startswith("AssertionError") and found.places[0].line == 5


def test_an_error_of_a_script() -> None:
    found = seen(SCRIPT)
    assert [(p.path, p.line) for p in found.places] == [("web/src/order_form.jsx", 41)]
    assert found.kind == "TypeError"


@pytest.mark.parametrize("text", [TRACE, PYTEST, SCRIPT])
def test_what_reading_does_to_it(text: str) -> None:
    """Underscores vanish, quotes curl, blanks come and go at the ends of lines."""
    whole = seen(text)
    for old, new in [("_", ""), ("_", " "), ('"', "“"), ('"', "''"), ("\n", "  \n\n"), ("\n  ", "\n"), ("/", "\\")]:
        found = recognise(text.replace(old, new), FILES, top="shop")
        assert found is not None and found.path == whole.path, (old, new)
        assert found.kind == whole.kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "All is well: shop/cart.py has 12 lines.",
        "ValueError: nothing of ours",
        TRACE.replace("shop/shop/", "till/site-packages/shop/"),
        'Traceback\n  File "/other/setup.py", line 3, in x\nValueError: y',
        'Traceback\n  File "/usr/lib/io.py", line 3, in x\nValueError: y',
        'Traceback\n  File "../shop/cart.py", line 3, in x\nValueError: y',
        'File "shop/gone.py", line 3\nValueError: y',
        'File "shop/cart.py", line 3, in a text without any error',
        "FAILED tests/test_other.py::test_x - nothing",
    ],
)
def test_what_is_none_of_ours(text: str) -> None:
    assert recognise(text, FILES, top="shop") is None


def test_a_bare_name_counts_in_a_folder_that_is_called_as_ours_and_twins_do_not_count() -> None:
    text = 'Traceback\n  File "/app/shop/setup.py", line 3, in x\nValueError: y'
    assert seen(text).path == "setup.py"
    twins = ["a/b_c.py", "a/bc.py"]
    bad = 'File "a/b c.py", line 1, in x\nKeyError: 1'
    assert recognise(bad, twins, top="x") is None
    exact = recognise(bad.replace("b c", "bc"), twins, top="x")
    assert exact is not None and exact.path == "a/bc.py"


SOURCE = b"""
def test_total(): ...
def test_total_with_discount(): ...
class TestCart:
    def test_total(self): ...
def helper(): ...
def test_a_b(): ...
def test_ab(): ...
"""


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("test_total", ("t.py::test_total",)),
        ("test total with discount", ("t.py::test_total_with_discount",)),
        ("TestCart::test_total", ("t.py::TestCart::test_total",)),
        ("testab", ()),
        ("test_ab", ("t.py::test_ab",)),
        ("helper", ()),
        ("test_gone", ()),
    ],
)
def test_only_tests_that_are_there_are_meant(read: str, meant: tuple[str, ...]) -> None:
    assert real_tests([("t.py", read)], {"t.py": SOURCE}) == meant
    assert real_tests([("gone.py", read)], {"t.py": SOURCE}) == ()


@given(st.text(max_size=400))
def test_noise_is_nothing_and_never_a_path_that_is_not_there(noise: str) -> None:
    found = recognise(noise + TRACE[:40] + noise, FILES, top="shop")
    assert found is None or {p.path for p in found.places} <= set(FILES)


@given(
    st.lists(st.sampled_from([*TRACE.splitlines(), *PYTEST.splitlines(), *SCRIPT.splitlines(), "x" * 50]), max_size=30)
)
def test_in_any_order_only_files_that_are_there_are_named(lines: list[str]) -> None:
    found = recognise("\n".join(lines), FILES, top="shop")
    if found is not None:
        assert {p.path for p in found.places} | {path for path, _ in found.tests} <= set(FILES)
        assert found.error.isprintable() and len(found.error) <= 200


@given(st.sampled_from(FILES), st.integers(1, 99_999), st.integers(0, 999))
def test_any_file_of_the_tree_is_found_whatever_is_lost(path: str, line: int, seed: int) -> None:
    if not path.endswith(".py"):
        return
    r = random.Random(seed)
    misread = "".join("" if c == "_" and r.random() < 0.5 else c.upper() if r.random() < 0.1 else c for c in path)
    found = recognise(f'File "{misread}", line {line}, in x\nKeyError: 1', FILES, top="shop")
    assert found is not None and (found.places[0].path, found.places[0].line) == (path, line)
    assert loose(misread) == loose(path)


def test_a_text_made_to_take_long_is_read_to_its_end() -> None:
    """A pattern that backtracks without bound would not come back from one of these."""
    for piece in (
        "File ",
        'File "' + "a/" * 90,
        "a" * 399 + "\n",
        "::",
        "x.py::" * 60,
        " " * 399 + "\n",
        "at (" * 90 + "\n",
    ):
        assert recognise(piece * 3_000, FILES, top="shop") is None
