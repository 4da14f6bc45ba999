"""Functions are asked with inputs that no test gives: the same answers every time, and no trace of it in the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.repair.disagreement import differing, steady
from ledger.vocabulary import Answer, RunStatus, TestRun
from tests.tools.testing.projects import Backend, Project, make_project

MATHS = """
calls = []

def clamp(value, low=0):
    calls.append(value)
    return max(value, low)

def drop_first(rows):
    return rows.pop(0)

def down_to_zero(count):
    while count != 0:
        count -= 1
    return count

def squares(limit):
    for number in range(limit):
        yield number * number

def twice(function):
    def inner(*args, **names):
        return 2 * function(*args, **names)
    return inner

@twice
def plus(a, *rest, b=1, **more):
    return a + sum(rest) + b + sum(more.values())

class Till:
    def __init__(self):
        self.money = {3, 1, 2}

    def add(self, amount):
        self.money.add(amount)
        return self

async def later(value):
    return value
"""
TESTS = """
import asyncio, maths

def test_clamp():
    assert maths.clamp(5) == 5 and maths.clamp(-2) == 0
    assert maths.calls == [5, -2]

def test_drop_first():
    rows = ["a", "b"]
    assert maths.drop_first(rows) == "a" and rows == ["b"]

def test_down(): assert maths.down_to_zero(2) == 0
def test_squares(): assert list(maths.squares(3)) == [0, 1, 4]
def test_plus(): assert maths.plus(1, 2, b=3, c=4) == 20

def test_till():
    till = maths.Till()
    assert till.add(7) is till and till.money == {1, 2, 3, 7}

def test_later(): assert asyncio.run(maths.later(1)) == 1
"""
FILES = {"maths.py": MATHS, "tests/test_maths.py": TESTS}


def line(text: str, of: str = MATHS) -> int:
    return of[: of.index(text)].count("\n") + 1


async def probed(project: Project, *functions: str, maths: str = MATHS) -> TestRun:
    places = [("maths.py", line(name, maths)) for name in functions]
    async with project.runner().warm(project.ws) as tests:
        await tests.reset()
        project.write({"maths.py": maths})
        run = await tests.run(probe=places)
    assert (run.status, run.reason) == (RunStatus.GREEN, "")  # the tests see nothing of it
    return run


def said(run: TestRun, test: str) -> dict[str, str]:
    return {a.asked: a.said for a in run.answers if a.test.endswith(f"::{test}") and a.call == 1}


@pytest.mark.parametrize("walls", ["bwrap", pytest.param("landlock", marks=pytest.mark.long)])
async def test_what_is_said_to_other_inputs(tmp_path: Path, environment: Path, walls: Backend) -> None:
    project = await make_project(tmp_path, FILES, environment, walls)
    wanted = (
        "def clamp",
        "def drop_first",
        "def down",
        "def squares",
        "@twice",
        "    def add",
        "async def",
        "def inner",
    )
    run = await probed(project, *wanted)
    assert (
        said(run, "test_clamp").items()
        >= {"clamp(value=-5, low=0)": "gives 0", "clamp(value=5, low=1)": "gives 5"}.items()
    )
    assert said(run, "test_drop_first")["drop_first(rows=['b', 'a'])"] == "gives 'b', leaves rows = ['a']"
    assert said(run, "test_drop_first")["drop_first(rows=[])"] == "raises IndexError"
    assert said(run, "test_down")["down_to_zero(count=-2)"] == "does not end"
    assert said(run, "test_squares")["squares(limit=2)"] == "gives [0, 1]"
    assert said(run, "test_plus")["plus(a=0, b=3, rest=(2), more={'c': 4})"] == "gives 9"
    till = "Till(money=set(1, 2, 3, 8))"
    assert said(run, "test_till")["add(amount=8)"] == f"gives {till}, leaves self = {till}"
    assert not said(run, "test_later")
    assert (await probed(project, *wanted)).answers == run.answers


async def test_two_versions_are_told_apart_by_what_they_say(tmp_path: Path, environment: Path) -> None:
    project = await make_project(tmp_path, FILES, environment, "bwrap")
    own = (await probed(project, "def clamp")).answers
    same = MATHS.replace("return max(value, low)", "return low if value < low else value")
    other = MATHS.replace("return max(value, low)", "return value if value > 0 else 0")
    assert not differing(own, (await probed(project, "def clamp", maths=same)).answers)
    pairs = differing(own, (await probed(project, "def clamp", maths=other)).answers)
    assert ("clamp(value=-2, low=1)", "gives 1", "gives 0") in [(a.asked, a.said, b.said) for a, b in pairs]


def test_what_is_no_disagreement() -> None:
    def answer(said: str, asked: str = "f(1)", call: int = 1) -> Answer:
        return Answer(test="t", call=call, asked=asked, said=said)

    assert differing([answer("gives 1")], [answer("gives 2")])
    assert differing([answer("gives 1")], [answer("raises KeyError")])
    assert not differing([answer("raises TypeError")], [answer("raises KeyError")])
    assert not differing([answer("gives 1")], [answer("does not end")])
    assert not differing([answer("gives 1")], [answer("gives 2", call=2)])
    assert not differing([answer("gives 1")], [])
    long, short = (answer("gives 1", asked) for asked in ("f(1234)", "f(0)"))
    pairs = differing([long, answer("raises A", ""), short], [answer("gives 2", a) for a in ("f(1234)", "f(0)", "")])
    assert [one.asked for one, _ in pairs] == ["f(0)", "f(1234)", ""]
    assert steady([long, short], [short, answer("gives 3", "f(1234)")]) == (short,)
