"""Changes of functions are tried in a loaded program: what passes is told, what cannot be told is left out."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.tools.testing.projects import Backend, Project, make_project
from tools.testing.runner import Changes

SHAPES = '''\
"""Ümlaut: characters are not bytes."""
import functools

def area(a, b):
    """Größe."""
    return a + b

class Base:
    def scale(self):
        return 2

class Box(Base):
    __side = 3

    @property
    def side(self):
        return self.__side - 1

    @functools.lru_cache(maxsize=None)
    def scale(self):
        return super().scale() + 2

    @staticmethod
    def round(value): return value + 1

def twice(function):
    def inner(value):
        return function(value) + function(value) + 1
    return inner

@twice
def same(value):
    return value

def squares(limit):
    for number in range(limit):
        yield number * 2

async def later(value):
    return value - 1

def slow(count):
    while count > 0:
        count -= 1
    return count + 1

if True:
    def nested(value):
        table = {"a": 1}
        return [table[key] for key in "b"]

seen = []

def remember(value):
    seen.append(value)
    return len(seen) + 1

FIRST = area(1, 1)

def old(value):
    return value + 0

def default(value=2):
    return value
'''
TESTS = """
import asyncio, shapes, unittest

class TestOld(unittest.TestCase):
    def test_old(self):
        with self.subTest("first"):
            self.assertEqual(shapes.old(2), 4)
        self.assertEqual(shapes.old(3), 9)

def test_area(): assert shapes.area(3, 4) == 12
def test_side(): assert shapes.Box().side == 3
def test_scale(): assert shapes.Box().scale() == 3
def test_round(): assert shapes.Box.round(4) == 4
def test_same(): assert shapes.same(2) == 4
def test_squares(): assert list(shapes.squares(3)) == [0, 1, 4]
def test_later(): assert asyncio.run(shapes.later(3)) == 3
def test_slow(): assert shapes.slow(3) == 0
def test_nested(): assert shapes.nested(1) == [1]
def test_remember(): assert shapes.remember(1) == 1
def test_first(): assert shapes.FIRST == 1
def test_default(): assert shapes.default() == 3
"""
FILES = {"shapes.py": SHAPES, "tests/test_shapes.py": TESTS, "tests/test_broken.py": "import nothing_of_the_kind\n"}
ID = "tests/test_shapes.py::test_{}"
OLD = "tests/test_shapes.py::TestOld::test_old"


def change(old: str, new: str, text: str = SHAPES) -> tuple[str, int, int, str]:
    at = text.index(old)
    return "shapes.py", at, at + len(old), new


async def screened(
    project: Project, *edits: tuple[str, int, int, str], ids: list[str], limit_s: float = 20
) -> dict[int, frozenset[str]]:
    async with project.runner().warm(project.ws) as tests:
        changes = Changes(edits=edits, lengths={"shapes.py": len(SHAPES)})
        return dict(await tests.screen(ids, changes, limit_s=limit_s))


@pytest.mark.parametrize("walls", ["bwrap", pytest.param("landlock", marks=pytest.mark.long)])
async def test_what_passes_is_told(tmp_path: Path, environment: Path, walls: Backend) -> None:
    project = await make_project(tmp_path, FILES, environment, walls)
    mended = {
        "area": change("a + b", "a * b"),
        "side": change("self.__side - 1", "self.__side"),
        "scale": change("super().scale() + 2", "super().scale() + 1"),
        "round": change("return value + 1", "return value"),
        "same": change("function(value) + 1", "function(value)"),  # the inner one was made while it was imported
        "squares": change("number * 2", "number * number"),
        "later": change("value - 1", "value"),
        "slow": change("    return count + 1", "    if count:\n        count = 0\n    return count"),
        "nested": change('in "b"', 'in "a"'),
        "remember": change("len(seen) + 1", "len(seen)"),
    }
    wrong = [change("a + b", "a - b"), change("count -= 1", "count += 1"), change("a + b", "a + ")]
    again = [change("len(seen) + 1", "len(seen)")]  # no change sees what another one has left in memory
    old = [change("value + 0", to) for to in ("2 * value", "value + 6", "value ** 2")]
    ids = [*(ID.format(name) for name in mended), OLD]
    found = await screened(project, *mended.values(), *wrong, *again, *old, ids=ids)
    expected = [{ID.format(name)} for name in mended] + [set(), set(), set(), {ID.format("remember")}]
    expected += [set(), set(), {OLD}]
    assert [found[at] for at in range(len(expected))] == expected


async def test_what_cannot_be_told_is_left_out(tmp_path: Path, environment: Path) -> None:
    project = await make_project(tmp_path, FILES, environment, "bwrap")
    untold = [
        change("value=2", "value=3"), change("FIRST = area(1, 1)", "FIRST = 1"), change("__side = 3", "__side = 4"),
        change("def same(value):\n    return value", "def same(value):\n    return (lambda: __class__)()"),
    ]  # fmt: skip
    found = await screened(project, *untold, change("a + b", "a * b"), ids=[ID.format("default")])
    assert found == {4: frozenset()}
    # What passes as it stands, hangs, or cannot be collected says nothing of a change.
    assert await screened(project, change("a + b", "a * b"), ids=["tests/test_broken.py"]) == {}
    project.write({"shapes.py": SHAPES.replace("a + b", "a * b")})
    assert await screened(project, change("a + b", "a - b"), ids=[ID.format("area")]) == {}
    project.write({"shapes.py": SHAPES + "\n"})
    assert await screened(project, change("a + b", "a * b"), ids=[ID.format("area")]) == {}


async def test_a_change_that_waits_for_ever_costs_a_moment(tmp_path: Path, environment: Path) -> None:
    """Asleep, in a deadlock or deaf to signals: the changes behind it are told all the same."""
    project = await make_project(tmp_path, FILES, environment, "bwrap")
    lock = "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()"
    deaf = "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(600)"
    stuck = [
        change("return a + b", f"{what}\n    return a * b") for what in ("import time; time.sleep(600)", lock, deaf)
    ]
    began = time.monotonic()
    found = await screened(project, *stuck, change("a + b", "a * b"), ids=[ID.format("area")], limit_s=60)
    assert found == {0: frozenset(), 1: frozenset(), 2: frozenset(), 3: frozenset({ID.format("area")})}
    assert time.monotonic() - began < 40


async def test_a_change_that_attacks_its_parent_passes_nothing(tmp_path: Path, environment: Path) -> None:
    project = await make_project(tmp_path, FILES, environment, "bwrap")
    attack = change("return a + b", "import os, signal; os.kill(os.getppid(), signal.SIGKILL)\n    return a * b")
    edits = [change("a + b", "a - b"), attack, change("a + b", "a * b")]
    found = await screened(project, *edits, ids=[ID.format("area")])
    assert found.get(0, frozenset()) == frozenset() and 2 not in found
    later = await project.run([ID.format("area")])
    assert later.red
