"""Which tests a change can affect."""

from __future__ import annotations

import pytest

from governance.irongate.paths import is_test_path
from tools.testing.selection.imports import mentions, module_names
from tools.testing.selection.names import is_test_module, is_test_side
from tools.testing.selection.scope import find_affected

FILES = {
    "src/shop/__init__.py": b"",
    "src/shop/money.py": b"RATE = 1\n",
    "src/shop/cart.py": b"from . import money\n",
    "src/shop/api.py": b"from shop.cart import total\n",
    "src/shop/lonely.py": b"",
    "src/shop/broken.py": b"import shop.money\ndef (:\n",
    "tests/conftest.py": b"import fixtures_data\n",
    "tests/fixtures_data.py": b"import json\n",
    "tests/test_api.py": b"import shop.api as api\n",
    "tests/test_money.py": b"from shop.money import RATE\n",
    "tests/unit/test_patch.py": b"def test(m):\n    m.patch('shop.lonely.thing')\n",
    "tests/unit/test_data.py": b"P = 'data/prices.json'\n",
    "tests/unit/test_broken.py": b"from shop import broken\n",
    "tests/helper.py": b"import shop.lonely\n",
    "setup.py": b"",
}


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ("src/shop/money.py", ("tests/test_money.py", "tests/test_api.py", "tests/unit/test_broken.py")),
        ("src/shop/api.py", ("tests/test_api.py",)),
        ("src/shop/lonely.py", ("tests/unit/test_patch.py",)),
        ("tests/test_money.py", ("tests/test_money.py",)),
        ("data/prices.json", ("tests/unit/test_data.py",)),
        ("README.md", ()),
    ],
)
def test_the_tests_that_import_or_name_it(changed: str, wanted: tuple[str, ...]) -> None:
    assert set(find_affected(FILES, [changed])) == set(wanted)


def test_the_nearest_come_first() -> None:
    assert find_affected(FILES, ["src/shop/money.py"])[0] == "tests/test_money.py"


def test_packages_conftests_and_configuration_affect_all_below() -> None:
    every = {path for path in FILES if is_test_module(path)}
    assert set(find_affected(FILES, ["tests/fixtures_data.py"])) == every
    assert set(find_affected(FILES, ["pyproject.toml"])) == every
    assert "tests/test_api.py" in find_affected(FILES, ["src/shop/__init__.py"])


def test_a_deleted_module_affects_those_who_still_import_it() -> None:
    files = {path: data for path, data in FILES.items() if path != "src/shop/money.py"}
    assert "tests/test_money.py" in find_affected(files, ["src/shop/money.py"])


def test_import_cycles_end() -> None:
    files = {"a.py": b"import b", "b.py": b"import a", "test_a.py": b"import a"}
    assert find_affected(files, ["b.py"]) == ("test_a.py",)


def test_module_names_leave_out_folders_that_are_no_packages() -> None:
    packages = frozenset({"src/shop"})
    assert module_names("src/shop/cart.py", packages) == ("src.shop.cart", "shop.cart")
    assert module_names("src/shop/__init__.py", packages) == ("src.shop", "shop")


def test_relative_imports_and_names() -> None:
    said = mentions("a/b/c.py", b"from ..x import y\nfrom . import z\nimport q.r as s\n")
    assert {"a.x", "a.x.y", "a.b.z", "q.r"} <= said.imports
    assert "shop.cart" in mentions("t.py", b"from shop.cart import (\n oops").imports


@pytest.mark.parametrize(
    ("path", "module", "side"),
    [
        ("tests/test_a.py", True, True),
        ("pkg/a_test.py", True, True),
        ("tests/helper.py", False, True),
        ("conftest.py", False, True),
        ("shop/tests.py", False, True),
        ("src/pkg/testing/x.py", False, False),
        ("testing/test_x.py", True, True),
        ("src/contest.py", False, False),
    ],
)
def test_names(path: str, module: bool, side: bool) -> None:
    assert (is_test_module(path), is_test_side(path), is_test_path(path)) == (module, side, side)
