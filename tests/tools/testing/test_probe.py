"""Functions are asked with inputs that no test gives: the same answers every time, and no trace of it in the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.repair.comparison import find_differences, pair_answers, stable_answers
from ledger.vocabulary import ProbeAnswer, RunStatus, TestRun
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

    @property
    def size(self):
        return len(self.money)

async def later(value):
    return value

async def many(value):
    yield value

def tenth(value):
    return value * 0.1

def opaque(value):
    return [object(), value]

class Own:
    def __deepcopy__(self, known):
        raise KeyError("there is one of me")

def held(own, count):
    return count
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

    assert till.size == 4

def test_later():
    assert asyncio.run(maths.later(1)) == 1

def test_many():
    async def all_of_them():
        return [one async for one in maths.many(1)]
    assert asyncio.run(all_of_them()) == [1]

def test_tenth(): assert maths.tenth(2.5) == 0.25 and maths.opaque(1)[1] == 1
def test_held(): assert maths.held(maths.Own(), 1) == 1
"""
FILES = {"maths.py": MATHS, "tests/test_maths.py": TESTS}


WANTED = {
    "def clamp": "clamp", "def drop_first": "drop_first", "def down": "down_to_zero", "def squares": "squares",
    "@twice": "plus", "    def add": "Till.add", "    @property": "Till.size", "async def later": "later",
    "async def many": "many", "    def inner": "twice.<locals>.inner", "def tenth": "tenth", "def opaque": "opaque",
    "def held": "held",
}  # fmt: skip


def place(text: str, of: str) -> tuple[str, int, str]:
    """Where a function of the file begins, and its name; ``text`` is how its first line does."""
    return "maths.py", of[: of.index(text)].count("\n") + 1, WANTED[text]


async def probed(project: Project, *functions: str, maths: str = MATHS) -> TestRun:
    async with project.runner().warm(project.ws) as tests:
        await tests.reset()
        project.write({"maths.py": maths})
        run = await tests.run(probe=[place(name, maths) for name in functions])
    assert (run.status, run.reason) == (RunStatus.GREEN, "")  # the tests see nothing of it
    return run


def said(run: TestRun, function: str) -> dict[str, str]:
    return {a.asked: a.said for a in run.answers if a.asked.startswith(f"{function}(")}


@pytest.mark.parametrize("walls", ["bwrap", pytest.param("landlock", marks=pytest.mark.long)])
async def test_what_is_said_to_other_inputs(tmp_path: Path, environment: Path, walls: Backend) -> None:
    project = await make_project(tmp_path, FILES, environment, walls)
    run = await probed(project, *WANTED)
    clamped = said(run, "clamp")
    assert clamped["clamp(value=-5, low=0)"] == "gives 0" and clamped["clamp(value=5, low=1)"] == "gives 5"
    assert said(run, "drop_first")["drop_first(rows=['b', 'a'])"] == "gives 'b', leaves rows = ['a']"
    assert said(run, "drop_first")["drop_first(rows=[])"] == "raises IndexError"
    assert said(run, "down_to_zero")["down_to_zero(count=-2)"] == "does not end"
    assert said(run, "squares") == {
        "squares(limit=2)": "gives [0, 1]", "squares(limit=0)": "gives []", "squares(limit=-3)": "gives []",
        "squares(limit=4)": "gives [0, 1, 4, 9]", "squares(limit=7)": "gives [0, 1, 4, 9, 16, 25, 36]",
    }  # fmt: skip
    assert said(run, "plus")["plus(a=0, b=3, rest=(2), more={'c': 4})"] == "gives 9"
    assert said(run, "add")["add(amount=8)"] == "gives Till(money=set(1, 2, 3, 8))"
    assert said(run, "tenth")["tenth(value=3)"] == "gives 0.3"
    assert set(said(run, "opaque").values()) == {"gives an unreadable value"}
    assert set(said(run, "held").values()) == {"cannot be called: a copy raises KeyError"}
    assert not said(run, "later") and not said(run, "many") and not said(run, "inner") and not said(run, "size")
    assert sorted(map(str, (await probed(project, *WANTED)).answers)) == sorted(map(str, run.answers))


KEYED = """
import maths

def test_key():
    assert maths.drop_first(["KEY", "a", "b"]) == "KEY"
"""


async def test_what_looks_like_a_key_is_not_changed_or_shown_in_part(tmp_path: Path, environment: Path) -> None:
    key = "ghp_" + "a1B2" * 16
    files = FILES | {"tests/test_key.py": KEYED.replace("KEY", key)}
    project = await make_project(tmp_path, files, environment, "bwrap")
    answers = (await probed(project, "def drop_first")).answers
    assert any(" characters, " in a.asked for a in answers)
    assert not any(key[:12] in f"{a.asked} {a.said}".replace(key, "") for a in answers)


async def test_two_versions_are_told_apart_by_what_they_say(tmp_path: Path, environment: Path) -> None:
    project = await make_project(tmp_path, FILES, environment, "bwrap")
    own = (await probed(project, "def clamp", "def tenth")).answers
    same = MATHS.replace("return max(value, low)", "return low if value < low else value")
    same = same.replace("return value * 0.1", "return value / 10")
    other = MATHS.replace("return max(value, low)", "return value if value > 0 else 0")
    agreeing = (await probed(project, "def clamp", "def tenth", maths=same)).answers
    assert not find_differences(own, agreeing) and len(pair_answers(own, agreeing)) > 10
    pairs = find_differences(own, (await probed(project, "def clamp", "def tenth", maths=other)).answers)
    assert ("clamp(value=-2, low=1)", "gives 1", "gives 0") in [(a.asked, a.said, b.said) for a, b in pairs]


FORGED = """
import gc
FOUND = [one for one in gc.get_objects() if type(one).__name__ == "Watcher"]

def test_forged():
    FOUND[0]._reporter.emit("probe", rows=[["k", "a", "x" * 10_000]])
"""


async def test_a_report_that_says_more_than_a_probe_ever_does_is_not_believed(
    tmp_path: Path, environment: Path
) -> None:
    project = await make_project(tmp_path, FILES | {"tests/test_forged.py": FORGED}, environment, "bwrap")
    run = await project.run(["tests/test_forged.py"])
    assert run.status is RunStatus.INCONCLUSIVE and "cannot be believed" in run.reason
    assert not run.answers


def answer(said: str, key: str = "1", asked: str = "f(1)") -> ProbeAnswer:
    return ProbeAnswer(key=key, asked=asked, said=said)


def test_what_is_no_disagreement() -> None:
    assert find_differences([answer("gives 1")], [answer("gives 2")])
    assert find_differences([answer("gives 1")], [answer("raises KeyError")])
    assert not find_differences([answer("raises TypeError")], [answer("raises KeyError")])
    assert not find_differences([answer("gives 1")], [answer("does not end")])
    assert not find_differences([answer("gives 1")], [answer("gives an unreadable value")])
    assert not find_differences([answer("gives 1")], [answer("gives 2", key="2")])
    assert not find_differences([answer("gives 1")], [])
    rows = [("1", "f(1234)", "gives 1"), ("2", "", "raises A"), ("3", "f(0)", "gives 1")]
    pairs = find_differences([answer(s, k, a) for k, a, s in rows], [answer("gives 2", k, a) for k, a, _ in rows])
    assert [one.asked for one, _ in pairs] == ["f(0)", "f(1234)", ""]
    assert stable_answers([answer("gives 1"), answer("gives 2", "2")], [answer("gives 2", "2")]) == (
        answer("gives 2", "2"),
    )
