"""Missing names, in the words of the interpreter itself."""

from __future__ import annotations

import ast
import sys
import types

import pytest

from ledger.vocabulary import Outcome, RunStatus, TestResult, TestRun
from tools.testing.localisation.missing import classes_of, files_of, member_names, missing_of, modules_of
from tools.testing.localisation.ranking import rank

SAID = {
    "from shop.core import load": ({"shop.core"}, set(), {"load"}),
    "import shop.core; shop.core.load": ({"shop.core"}, set(), {"load"}),
    "Box().load": (set(), {"Box"}, {"load"}),
    "Box.load": (set(), {"Box"}, {"load"}),
    "{}['load']": (set(), set(), set()),
}


class Box:
    """Has nothing."""


@pytest.mark.parametrize("code", SAID)
def test_what_is_missing_where_is_read_from_the_message(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, core = types.ModuleType("shop"), types.ModuleType("shop.core")
    shop.__dict__["core"] = core
    monkeypatch.setitem(sys.modules, "shop", shop)
    monkeypatch.setitem(sys.modules, "shop.core", core)
    with pytest.raises((ImportError, AttributeError, KeyError)) as caught:
        exec(code, {"Box": Box})
    said = [str(caught.value)]
    assert (modules_of(said), classes_of(said), missing_of(said)) == SAID[code]


def test_a_module_is_a_file_wherever_the_import_path_begins() -> None:
    paths = ("src/shop/core.py", "shop/core/__init__.py", "shop/hardcore.py", "core.py", "shop/core.txt")
    assert files_of("shop.core", paths) == ("src/shop/core.py", "shop/core/__init__.py")


def test_members_of_a_class_and_of_no_other() -> None:
    text = """
class Box:
    size = 3

    def __init__(self):
        self.items = []

    def put(self, item):
        other.stray = item


class Bag:
    def take(self): ...
"""
    assert set(member_names(ast.parse(text), frozenset({"Box"}))) == {"size", "__init__", "items", "put"}


def test_what_a_module_that_lacks_a_name_defines_is_suspicious() -> None:
    said = "ImportError: cannot import name 'load' from 'core' (/somewhere/src/core.py)"
    red = TestResult(id="tests/test_a.py", outcome=Outcome.ERROR, message=said)
    run = TestRun(status=RunStatus.RED, results=(red,), coverage={"tests/test_a.py": {"src/other.py": (1,)}})
    files = {"src/core.py": b"import os\n\n\ndef load_file(path):\n    return path\n", "src/other.py": b"x = 1\n"}
    found = {(s.path, s.line): s.why for s in rank(run, [red.id], files=files)}
    assert "lacks a name" in found["src/core.py", 4] and ("src/core.py", 5) not in found
