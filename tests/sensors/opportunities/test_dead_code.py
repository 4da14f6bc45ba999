"""What nothing uses, what can never be carried out, and when it is gone."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

from ledger.vocabulary import AllReached, ClosureAnswer, Place, SymbolGone
from sensors.opportunities import OpportunityMinerSettings
from sensors.opportunities.sensor import OpportunityMiner
from sensors.opportunities.surveys import gone_answer, reached_answer
from sensors.opportunities.unused import find_unused
from sensors.python_source.census import SourceTree, facts_of
from sensors.python_source.unreachable import find_unreachable
from sensors.registry import closure_evaluator
from tests.repos import commit
from tests.sensors.looking import OURS, scene
from tests.sensors.trees import Held


def tree_of(files: Mapping[str, str]) -> SourceTree:
    return SourceTree(files={path: facts_of(path, text.encode()) for path, text in files.items()})


def dead(**files: str) -> set[str]:
    return {name for _, name in find_unused(tree_of({path.replace("__", "."): text for path, text in files.items()}))}


LEFT = "def _left(x):\n    y = x + 1\n    return y\n"
METHOD = "class Cart:\n    def _left(self):\n        return 1\n"


def test_what_nothing_names_is_unused() -> None:
    assert dead(a__py=LEFT + METHOD.replace("_left", "_other")) == {"_left", "Cart._other"}
    assert dead(a__py=METHOD.replace("class Cart", "class Cart(Base)"), b__py="class Base:\n    pass\n") == {
        "Cart._left"
    }


@pytest.mark.parametrize(
    "use",
    [
        {"b__py": "from a import _left\n"},
        {"b__py": "x = {'call': '_left'}\n"},
        {"b__py": "getattr(a, f'_le{x}')\n", "c__py": "PARTS = ('_le_', 'x')\nHOW = 'visit_'\n", "d__py": "# _left\n"},
        {"b__py": "__all__ = ['_left']\n"},
        {"pyproject__toml": "[project.scripts]\nx = 'a:_left'\n"},
        {"docs__md": "Call `_left` for it.\n"},
        {"test_a__py": "import a\na._left(1)\n"},
        {"b__pyx": "cdef x = _left(1)\n"},
        {"b__py": "print 'who knows'\n"},
        {"b__py": "def call(name):\n    return globals()[f'_{name}']\n"},
        {"b__py": "def call(name):\n    return globals()['_' + name]\n"},
        {"b__py": "class A:\n    def _left(self):\n        pass\n"},  # which of them is meant?
    ],
)
def test_whatever_may_be_a_use_is_one(use: dict[str, str]) -> None:
    assert "_left" not in dead(a__py=LEFT, **use)


@pytest.mark.parametrize("name", ["visit_{x}", "_{x}_rows", "_on_{x}"])
def test_names_that_are_put_together_are_used(name: str) -> None:
    own = "def _on_rows(x):\n    return 1\n\n\ndef _all_rows(x):\n    return 2\n"
    left = {"_on_rows", "_all_rows"} if name == "visit_{x}" else {"_all_rows"} if "on" in name else set()
    assert dead(a__py=own, b__py=f"f = lambda x: getattr(y, f'{name}')\n") == left


@pytest.mark.parametrize(
    "text",
    [
        "@hook\n" + LEFT,
        LEFT.replace("_left", "__left__"),
        LEFT.replace("_left", "_left_"),
        LEFT.replace("_left", "left"),
        METHOD.replace("class Cart", "class Cart(Framework)"),
        METHOD.replace("class Cart", "class Cart(metaclass=Made)"),
        "@register\n" + METHOD,
        "class Base(Framework):\n    pass\n\n\n" + METHOD.replace("class Cart", "class Cart(Base)"),
        METHOD.replace("_left", "__left") + "\n\nCart._Cart__left\n",
        LEFT + "\n\n" + LEFT,
        "if x:\n    def _left():\n        return 1\nelse:\n    def _left():\n        return 2\n",
    ],
)
def test_what_somebody_else_may_call_is_left_alone(text: str) -> None:
    assert dead(a__py=text) == set()


def test_nothing_is_said_of_a_tree_that_was_not_read_as_a_whole() -> None:
    assert find_unused(SourceTree(files=tree_of({"a.py": LEFT}).files, partial="too large")) == {}


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("return 1\n    x = 2", [2]),
        ("raise ValueError\n    x = 2\n    y = 3", [2]),
        ("for x in y:\n        continue\n        print(x)", [3]),
        ("if x:\n        return 1\n    else:\n        raise ValueError\n    print(x)", [5]),
        ("while True:\n        x = 1\n    print(x)", [3]),
        ("while True:\n        for x in y:\n            break\n    print(x)", [4]),
        ("if True:\n        return 1\n    print(x)", [3]),
        ("while True:\n        if x:\n            break\n    print(x)", []),
        ("while x:\n        pass\n    print(x)", []),
        ("if x:\n        return 1\n    print(x)", []),
        ("return\n    yield", []),
        ("return 1\n    x = yield 2", []),
        ("return 1\n    assert False, 'never'", []),
        ("return 1\n    raise AssertionError", []),
        ("return 1\n    return None", []),
        ("return 1\n    'words'", []),
        ("raise NotImplementedError\n    x = 2", []),
        ("raise NotImplementedError('later')\n    x = 2", []),
        ("with x:\n        raise ValueError\n    print(x)", []),
        ("try:\n        return 1\n    finally:\n        print(x)\n    print(x)", []),
        ("def inner():\n        return 1\n        print(x)\n    return inner", [3]),
    ],
)
def test_what_is_never_carried_out(body: str, lines: list[int]) -> None:
    node = ast.parse(f"def f(x, y):\n    {body}\n").body[0]
    assert isinstance(node, ast.FunctionDef)
    assert [end.line - 1 for end in find_unreachable(node)] == lines


# --- the checks ---


GONE = SymbolGone(
    place=Place(path="a.py", symbol="_left"),
    shape=facts_of("a.py", LEFT.encode()).module.functions["_left"].shape,  # type: ignore[union-attr]
)


@pytest.mark.parametrize(
    ("files", "closed", "gone", "words"),
    [
        ({"a.py": LEFT}, False, False, "still there and nothing names it"),
        ({"a.py": ""}, True, False, "is gone, and nothing names it"),
        ({"a.py": LEFT, "b.py": "import a\na._left(1)\n"}, False, True, "is named elsewhere now"),
        ({"a.py": "", "b.py": "import a\na._left(1)\n"}, False, False, "_left is gone, but b.py names it"),
        ({"a.py": LEFT.replace("_left", "_kept")}, False, False, "_kept in a.py is the same under another name"),
        ({"a.py": "", "b.py": LEFT.replace("_left", "left")}, False, False, "left in b.py is the same"),
        ({}, False, True, "no a.py any more"),
        ({"a.py": "def f(:\n"}, False, False, "cannot be read"),
    ],
)
def test_when_a_function_is_gone(files: dict[str, str], closed: bool, gone: bool, words: str) -> None:
    answer = gone_answer(GONE, tree_of(files))
    assert (answer.closed, answer.gone, words in answer.reason) == (closed, gone, True), answer


CUT = "def f(x):\n    return x + 1\n    y = x + 2\n    return y\n"
REACHED = AllReached(path="a.py", symbol="f", nodes=9, others=("known",))


@pytest.mark.parametrize(
    ("text", "closed", "gone", "words"),
    [
        (CUT, False, False, "a.py:3 in f can never be carried out"),
        ("def f(x):\n    return x + 1\n", True, False, "every statement of f"),
        ("def f(x):\n    y = x + 2\n    return y\n", False, False, "still holds"),
        ("def f(x):\n    if x:\n        return x + 1\n    y = x + 2\n    return y\n", False, False, "still holds"),
        ("def f(x):\n    if False:\n        pass\n    return x\n", False, False, "still holds"),
        ("def f(x):\n    return g(x)\n\n\n" + CUT.replace("f(", "g("), False, False, "in g can never"),
        ("def f(x):\n    return x + 1\n\n\n" + CUT.replace("f(", "known("), True, False, "every statement"),
        ("", False, True, "no f in a.py"),
        (None, False, True, "no a.py"),
        ("def f(:\n", False, False, "cannot be read"),
    ],
)
def test_when_everything_is_reached(text: str | None, closed: bool, gone: bool, words: str) -> None:
    answer: ClosureAnswer = reached_answer(REACHED, None if text is None else text.encode())
    assert (answer.closed, answer.gone, words in answer.reason) == (closed, gone, True), answer


# --- on a real repository ---


async def test_what_a_commit_leaves_without_use_is_said_once_and_our_own_is_one_deeper(tmp_path: Path) -> None:
    use = "from shop.a import _left, _never\n\n\ndef total(x):\n    return _left(x) + _never(x)\n"
    files = {"shop/a.py": LEFT + "\n\n" + LEFT.replace("_left", "_never"), "shop/b.py": use}
    files["shop/c.py"] = LEFT.replace("_left", "_dead")
    async with scene(tmp_path, files) as s:
        settings = OpportunityMinerSettings(per_look=3)
        sensor = OpportunityMiner(ports=s.ports(), settings=settings)
        assert await sensor.scan_once() == ()
        s.depths["op-1"] = 1
        fewer = "from shop.a import _never\n\n\ndef total(x):\n    return _never(x)\n"
        commit(s.repo, f"use less\n\n{OURS}", {"shop/b.py": fewer, "shop/d.py": LEFT.replace("_left", "_to_come")})
        (told,) = await sensor.scan_once()
        assert told.goal == "Remove _left from shop/a.py: nothing uses it any more"
        assert "shop/a.py:1-3; its last use was in shop/b.py" in told.evidence[0].evidence
        assert (told.targets, told.depth) == (("shop/a.py",), 2)
        assert not (await closure_evaluator().is_closed(told.closure, Held({"shop/a.py": files["shop/a.py"]}))).closed
        assert (await closure_evaluator().is_closed(told.closure, Held({"shop/a.py": ""}))).closed
        cut = fewer.replace("def total(x):", "def total(x):\n    return 0\n    x = 1")
        commit(s.repo, "cut off", {"shop/b.py": cut})
        (told,) = await OpportunityMiner(ports=s.ports(), settings=settings).scan_once()
        assert told.goal == "Remove the statements of total in shop/b.py that can never be carried out"
        assert told.depth == 0


async def test_what_is_left_over_waits_with_what_it_was_compared_with(tmp_path: Path) -> None:
    """The file that has changed is looked at again, though the one that is told of has not changed."""
    files = {"a.py": LEFT, "c.py": LEFT.replace("_left", "_too"), "b.py": "from a import _left\nfrom c import _too\n"}
    async with scene(tmp_path, files) as s:
        settings = OpportunityMinerSettings(per_look=1)
        sensor = OpportunityMiner(ports=s.ports(), settings=settings)
        assert await sensor.scan_once() == ()
        commit(s.repo, "use none", {"b.py": ""})
        first = await sensor.scan_once()
        second = await sensor.scan_once()
        assert {told.targets for told in (*first, *second)} == {("a.py",), ("c.py",)}
        assert await sensor.scan_once() == ()


async def test_a_tree_that_is_too_large_is_named_in_status(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": LEFT, "b.py": "from a import _left\n"}) as s:
        sensor = OpportunityMiner(ports=s.ports(), settings=OpportunityMinerSettings(most_tree_files=1))
        assert await sensor.scan_once() == ()
        commit(s.repo, "use none", {"b.py": ""})
        assert await sensor.scan_once() == ()
        assert sensor.state().line == (
            "Duplicates and dead functions are not looked for: there are more than 1 files to compare."
        )


async def test_our_own_third_in_a_row_is_parked(tmp_path: Path) -> None:
    """No loop feeds itself: what follows from two of our own commits in a chain waits for the owner."""
    async with scene(tmp_path, {"a.py": LEFT, "b.py": "from a import _left\n"}) as s:
        sensor = OpportunityMiner(ports=s.ports(), settings=OpportunityMinerSettings())
        assert await sensor.scan_once() == ()
        s.depths["op-1"] = 2
        commit(s.repo, f"use none\n\n{OURS}", {"b.py": ""})
        (told,) = await sensor.scan_once()
        assert told.depth == 3
        assert s.router.snapshot().counts["parked"] == 1
