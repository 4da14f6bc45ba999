"""Which functions are the same, when one of them has given way, and when something still uses what went."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.vocabulary import ClosureAnswer, DuplicateGone, Place
from sensors.opportunities import OpportunityMinerSettings
from sensors.opportunities.sensor import OpportunityMiner
from sensors.opportunities.surveys import duplicate_answer
from sensors.python_source.census import SourceTree, facts_of
from sensors.python_source.duplicates import duplicate_sets
from sensors.registry import closure_evaluator
from tests.repos import commit, git
from tests.sensors.looking import OURS, scene
from tests.sensors.trees import Held

BODY = """    rows = []
    for {item} in {items}:
        if {item} is None:
            continue
        {text} = str({item}).strip()
        if {text}:
            rows.append({text})
    rows.sort()
    return rows
"""


def listing(name: str = "listing", item: str = "item", items: str = "items", text: str = "text") -> str:
    return f"def {name}({items}):\n" + BODY.format(item=item, items=items, text=text)


def tree_of(files: Mapping[str, str]) -> SourceTree:
    return SourceTree(files={path: facts_of(path, text.encode()) for path, text in files.items()})


def found(files: Mapping[str, str], least: int = 6) -> list[set[str]]:
    return [
        {f"{path}:{name}" for (path, name), _ in places}
        for places in duplicate_sets(tree_of(files), least_statements=least).values()
    ]


def indented(text: str, *, self_: bool = True) -> str:
    text = text.replace("(", "(self, ", 1) if self_ else text
    return "".join(f"    {line}\n" for line in text.splitlines())


BOTH = {"a.py": listing(), "b.py": listing("other", "row", "given", "line")}


def test_the_names_of_what_is_local_make_no_difference() -> None:
    assert found(BOTH) == [{"a.py:listing", "b.py:other"}]


@given(names=st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=4, unique=True))
def test_whatever_they_are(names: list[str]) -> None:
    assert found({"x.py": listing(), "y.py": listing(f"_{names[0]}", names[1], names[2], names[3])})


@pytest.mark.parametrize(
    "other",
    [
        listing().replace("strip", "lstrip"),  # another attribute
        listing().replace("str(", "repr("),  # another global
        listing().replace("rows.sort()", "rows.sort(key=None)"),
        listing().replace("def ", "async def "),
        "@cached\n" + listing(),
        listing().replace("(items)", "(items=())"),
        "from text import str\n" + listing(),  # the same word for another thing
        listing() + "\n\n" + listing(),  # which of the two is it?
        "def f(a):\n    return str(a)\n",  # too small
    ],
)
def test_what_may_do_something_else_is_no_duplicate(other: str) -> None:
    assert found({"a.py": listing(), "b.py": other}) == []


def test_what_words_and_types_say_is_left_aside() -> None:
    typed = listing().replace("(items)", "(items: list[str]) -> list[str]").replace(
        "    rows = []", '    """All rows."""\n    rows: list[str] = []'
    )  # fmt: skip
    assert found({"a.py": listing().replace("rows = []", "rows: list = []"), "b.py": typed}) == [
        {"a.py:listing", "b.py:listing"}
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tests/a.py", "b.py"),
        ("vendor/a.py", "b.py"),
        ("pkg/_sync/a.py", "pkg/_async/b.py"),
        ("pkg/color.py", "pkg/v1/color.py"),
        ("one/color.py", "other/color.py"),
    ],
)
def test_what_is_there_twice_on_purpose_is_left_alone(one: str, other: str) -> None:
    assert found({one: listing(), other: listing()}) == []


def test_a_module_s_own_globals_and_super_make_a_difference() -> None:
    own = "LIMIT = 3\n\n\n" + listing().replace("[]", "[LIMIT]")
    assert found({"a.py": own, "b.py": own}) == []
    assert found({"a.py": own + "\n\n" + listing("again").replace("[]", "[LIMIT]")}) == [{"a.py:listing", "a.py:again"}]
    above = "class A(B):\n" + indented(listing().replace("rows.sort()", "rows += super().rows()"))
    assert found({"a.py": above, "b.py": above.replace("A(B)", "C(B)")}) == []


def test_copied_files_and_patterns_are_left_alone() -> None:
    shapes = [listing(f"f{n}").replace("rows.sort()", f"rows.sort({n})") for n in range(4)]
    assert len(found({"a.py": "\n\n".join(shapes[:3]), "b.py": "\n\n".join(shapes[:3])})) == 3
    assert found({"a.py": "\n\n".join(shapes), "b.py": "\n\n".join(shapes)}) == []
    assert found({f"{name}.py": listing() for name in "abcde"}) == []


# --- the check ---

USE = "from b import other\n\nprint(other([]))\n"
CALLS = "from a import listing\n\n\ndef other(given):\n    return listing(given)\n"


def check() -> DuplicateGone:
    places = next(iter(duplicate_sets(tree_of(BOTH), least_statements=6).items()))
    return DuplicateGone(
        places=tuple(Place(path=path, symbol=name) for (path, name), _ in places[1]),
        shape=places[0],
        nodes=min(each.nodes for _, each in places[1]),
    )


def asked(files: Mapping[str, str], of: DuplicateGone | None = None) -> ClosureAnswer:
    texts = {path: text.encode() for path, text in files.items()}
    return duplicate_answer(of or check(), tree_of(files), texts)


@pytest.mark.parametrize(
    ("changed", "closed", "gone", "words"),
    [
        ({}, False, False, "are still the same"),
        ({"b.py": CALLS}, True, False, "is there once"),
        ({"b.py": "from a import listing as other\n"}, True, False, "is there once"),
        ({"b.py": "", "use.py": USE.replace("b import other", "a import listing as other")}, True, False, "once"),
        ({"b.py": ""}, False, False, "other in b.py is gone, but use.py:1 still uses it"),
        ({"b.py": "", "use.py": "import b\n\nprint(b.other([]))\n"}, False, False, "use.py:3"),
        ({"b.py": "", "use.py": "import b as it\n\nprint(it.other([]))\n"}, False, False, "use.py:3"),
        ({"b.py": "", "use.py": "x = 'b.other'\n"}, False, False, "use.py:1"),
        ({"b.py": "", "use.py": "from .b import *\nother(1)\n"}, False, False, "use.py:1"),
        ({"b.py": "other([])\n", "use.py": ""}, False, False, "b.py:1"),
        ({"b.py": "__all__ = ['other']\n", "use.py": ""}, False, False, "b.py:1"),
        ({"b.py": "", "use.py": "def broken(:\n    other\n"}, False, False, "use.py"),
        ({"b.py": BOTH["b.py"].replace("rows = []", "rows = list()")}, False, True, "each does it all itself"),
        ({"a.py": "", "b.py": "", "use.py": ""}, False, True, "none of the functions"),
        ({"b.py": CALLS, "c.py": listing("third")}, False, False, "are still the same"),
        ({"b.py": "def other(:\n"}, False, False, "cannot be read"),
    ],
)
def test_when_one_is_left(changed: dict[str, str], closed: bool, gone: bool, words: str) -> None:
    answer = asked({**BOTH, "use.py": USE, **changed})
    assert (answer.closed, answer.gone, words in answer.reason) == (closed, gone, True), answer


SEVERAL = {
    "a.py": "class One:\n" + indented(listing()) + "\n\nclass Two:\n" + indented(listing()),
    "use.py": "import a\na.Two().listing([])\n",
}


def test_methods_may_move_to_a_base_or_be_assigned_but_not_go() -> None:
    ((shape, places),) = duplicate_sets(tree_of(SEVERAL), least_statements=6).items()
    of = DuplicateGone(
        places=tuple(Place(path=path, symbol=name) for (path, name), _ in places), shape=shape, nodes=places[0][1].nodes
    )
    one = "class One:\n" + indented(listing())
    assert asked({**SEVERAL, "a.py": f"{one}\n\nclass Two(One):\n    pass\n"}, of).closed
    assert asked({**SEVERAL, "a.py": f"{one}\n\nclass Two:\n    listing = One.listing\n"}, of).closed
    assert "use.py:2" in asked({**SEVERAL, "a.py": f"{one}\n\nclass Two:\n    pass\n"}, of).reason
    assert "use.py:2" in asked({**SEVERAL, "a.py": one}, of).reason


# --- on a real repository ---


async def test_a_copy_that_a_commit_brings_is_said_once_and_our_own_is_one_deeper(tmp_path: Path) -> None:
    old = {"old/a.py": listing("was"), "old/b.py": listing("too")}
    async with scene(tmp_path, {"shop/a.py": listing(), "shop/sub/b.py": "", **old}) as s:
        settings = OpportunityMinerSettings(least_statements=6, per_look=3)
        sensor = OpportunityMiner(ports=s.ports(), settings=settings)
        assert await sensor.scan_once() == ()
        git(s.repo, "mv", "old/b.py", "old/c.py")
        commit(s.repo, "moved")
        assert await sensor.scan_once() == ()
        text = listing("other", "row", "given", "line").replace("rows.sort()", "rows.reverse()")
        s.depths["op-1"] = 1
        commit(s.repo, f"copy\n\n{OURS}", {"shop/d.py": text, "shop/sub/b.py": text, "tests/test_a.py": text})
        (told,) = await sensor.scan_once()
        assert told.goal == (
            "Join other in shop/d.py and other in shop/sub/b.py: they are the same, let one place do it for all"
        )
        assert "shop/d.py:1-10 other; shop/sub/b.py:1-10 other" in told.evidence[0].evidence
        assert told.targets == ("shop/d.py", "shop/sub/b.py")
        assert told.depth == 2
        files = dict.fromkeys(("shop/d.py", "shop/sub/b.py"), text)
        assert not (await closure_evaluator().is_closed(told.closure, Held(files))).closed
        files["shop/sub/b.py"] = "from shop.d import other\n"
        assert (await closure_evaluator().is_closed(told.closure, Held(files))).closed
        commit(s.repo, "once more", {"shop/d.py": text + "\n"})
        assert await OpportunityMiner(ports=s.ports(), settings=settings).scan_once() == ()
