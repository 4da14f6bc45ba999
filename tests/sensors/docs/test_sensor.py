"""Which symbols of a commit lack a docstring, and when one says something."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.vocabulary import Source, SymbolDocumented
from sensors.docs import DocStalenessSettings
from sensors.docs.sensor import DocStaleness
from sensors.docs.stale import documented_answer
from sensors.python_source.docstrings import public_symbols
from sensors.registry import closure_evaluator
from tests.repos import commit, git
from tests.sensors.looking import scene
from tests.sensors.trees import Held

OLD = "def old(x):\n    y = x + 1\n    return y\n"
NEW = "\n\ndef new(x):\n    y = x + 2\n    return y\n"
CLASS = '''
class Cart:
    """What is bought together."""

    size = 3

    def total(self):
        return self.size

    def _hidden(self):
        return 1

    @property
    def empty(self):
        return not self.size

    @empty.setter
    def empty(self, value):
        self.size = 0

    def said(self):
        """How many things there are."""
        def inner():
            return 2
        return inner()
'''


def test_public_symbols_are_what_others_may_use() -> None:
    found = {s.name: s.documented for s in public_symbols((OLD + CLASS + "\ndef _own(): ...\n").encode())}
    assert found == {"old": False, "Cart": True, "Cart.total": False, "Cart.empty": False, "Cart.said": True}
    assert public_symbols(b"def broken(:\n") == ()
    assert public_symbols(b"def deep():\n    return " + b"1 + " * 3_000 + b"1\n") == ()


def test_the_code_of_a_symbol_is_told_from_its_words_and_from_its_methods() -> None:
    def body(text: str, name: str) -> str:
        return next(s.body for s in public_symbols(text.encode()) if s.name == name)

    assert body(OLD, "old") == body(OLD.replace("    y", '    """Adds one to it."""\n    # one\n    y', 1), "old")
    assert body(OLD, "old") != body(OLD.replace("+ 1", "+ 2"), "old")
    assert body(CLASS, "Cart") == body(CLASS.replace("return self.size", "return 7"), "Cart")
    assert body(CLASS, "Cart") != body(CLASS.replace("size = 3", "size = 4"), "Cart")


@pytest.mark.parametrize(
    ("text", "closed", "gone", "words"),
    [
        ('def old(x):\n    """Adds one to x."""\n', True, False, "has a docstring"),
        ('def old(x):\n    """Old."""\n', False, False, "no docstring that says something"),
        ("def old(x):\n    # adds one to x\n    return x\n", False, False, "no docstring"),
        ('def older(x):\n    """Adds one to x."""\n', False, True, "no old in a.py any more"),
        (None, False, True, "no a.py any more"),
        ("def old(:\n", False, False, "cannot be read"),
    ],
)
def test_when_a_symbol_is_documented(text: str | None, closed: bool, gone: bool, words: str) -> None:
    check = SymbolDocumented(path="a.py", symbol="old")
    answer = documented_answer(check, None if text is None else text.encode())
    assert (answer.closed, answer.gone, words in answer.reason) == (closed, gone, True), answer


async def test_what_a_commit_adds_or_changes_is_said_once(tmp_path: Path) -> None:
    files = {"shop/cart.py": OLD, "tests/test_cart.py": OLD, "shop/_own.py": OLD}
    async with scene(tmp_path, files) as s:
        settings = DocStalenessSettings(least_lines=3)
        sensor = DocStaleness(ports=s.ports(), settings=settings)
        assert await sensor.scan_once() == ()
        more = dict.fromkeys(files, OLD + NEW) | {"shop/cart.py": OLD + NEW + "\n\ndef short():\n    return 1\n"}
        added = commit(s.repo, "add", more)
        (found,) = await sensor.scan_once()
        assert (found.source, found.base, found.targets) == (Source("doc_staleness"), added, ("shop/cart.py",))
        assert found.goal == "Say in a docstring what new in shop/cart.py does"
        assert not (await closure_evaluator().is_closed(found.closure, Held({"shop/cart.py": OLD + NEW}))).closed
        commit(s.repo, "change", {"shop/cart.py": (OLD + NEW).replace("+ 1", "+ 3")})
        sensor = DocStaleness(ports=s.ports(), settings=settings)
        (found,) = await sensor.scan_once()
        assert found.closure == SymbolDocumented(path="shop/cart.py", symbol="old")
        assert "old was changed" in found.evidence[0].claim
        git(s.repo, "mv", "shop/cart.py", "shop/basket.py")
        commit(s.repo, "moved as it was")
        assert await sensor.scan_once() == ()
        commit(s.repo, "again", {"shop/basket.py": (OLD + NEW).replace("+ 1", "+ 4")})
        assert [x.targets for x in await sensor.scan_once()] == [("shop/basket.py",)]
        commit(s.repo, "and again", {"shop/basket.py": (OLD + NEW).replace("+ 1", "+ 5")})
        assert await sensor.scan_once() == ()
