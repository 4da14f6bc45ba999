"""Which parameters a docstring speaks of, which pages name what is gone, and when both are right again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.vocabulary import PageWithout, ParametersDocumented
from sensors.docs import DocStalenessSettings
from sensors.docs.pages import calling, is_page, naming, page_answer
from sensors.docs.sensor import DocStaleness
from sensors.docs.signatures import parameters_answer, signatures
from sensors.docs.stale import gone_names, stale_docstrings, stale_pages
from sensors.registry import closure_evaluator
from tests.repos import commit
from tests.sensors.looking import OURS, scene
from tests.sensors.trees import Held

GOOGLE = '''def total(prices, discount=0, *rest, **more):
    """Sum after the discount.

    Args:
        prices (list[int]): what is bought, with
            rest: of a line
        discount: what is taken off
        *rest: others

    Returns:
        sum: of it
    """
'''
NUMPY = '''def total(prices, discount=0, rest=()):
    """Sum after the discount.

    Parameters
    ----------
    prices, rest : list of int
        What is bought.
    discount : int
        What is taken off.

    Returns
    -------
    sum : int
    """
'''
SPHINX = '''class Cart:
    """What is bought.

    :param prices: what is bought
    :param int discount: what is taken off
    :type prices: list
    """

    def __init__(self, prices, discount=0):
        """Nothing to say."""
'''


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOGLE, {"prices": 5, "discount": 7, "rest": 8}),
        (NUMPY, {"prices": 6, "rest": 6, "discount": 8}),
        (SPHINX, {"prices": 4, "discount": 5}),
        ('def f(x):\n    """Says x: something."""\n', {}),
    ],
)
def test_what_a_docstring_speaks_of(text: str, told: dict[str, int]) -> None:
    (found,) = [s for name, s in signatures(text.encode()).items() if "." not in name]
    assert dict(found.told) == told


def test_signatures_are_of_what_others_may_use() -> None:
    text = "@overload\ndef a(x): ...\n\n\ndef a(x): ...\n\n\ndef _b(x): ...\n\n\n"
    text += "class C:\n    def d(self, /, x, *z, y, **more): ...\n"
    assert {name: s.parameters for name, s in signatures(text.encode()).items()} == {"C.d": ("x", "y")}
    assert signatures(b"def f(:\n") == {} == signatures(b"def f(x=" + b"1 + " * 3_000 + b"1): pass\n")


def stale(before: str, now: str) -> list[str]:
    return [f.evidence[0].evidence for f in stale_docstrings({"a.py": now.encode()}, {"a.py": before.encode()})]


PLAIN = GOOGLE.replace(", *rest, **more", "").replace("        *rest: others\n", "")


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (PLAIN, PLAIN.replace("discount=0", "rebate=0"), "a.py:7 speaks of discount, which is no parameter any more"),
        (PLAIN, PLAIN.replace("discount=0", "rebate=0"), "a.py:1 takes rebate, of which the docstring says nothing"),
        (PLAIN, PLAIN.replace(", discount=0", ""), "a.py:7 speaks of discount"),
        (PLAIN, PLAIN.replace("discount=0", "discount=0, tax=0"), "a.py:1 takes tax"),
        (NUMPY, NUMPY.replace(", rest=()", ""), "a.py:6 speaks of rest"),
        (SPHINX, SPHINX.replace("discount=0", "rebate=0"), "a.py:5 speaks of discount"),
    ],
)
def test_a_docstring_that_a_change_of_parameters_left_behind(before: str, now: str, said: str) -> None:
    (told,) = stale(before, now)
    assert said in told, told


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (PLAIN, PLAIN),
        (PLAIN, PLAIN.replace("discount=0", "rebate=0").replace("discount: what", "rebate: what")),
        (PLAIN, PLAIN.replace("discount=0", "**more")),  # it may still be given by name
        (PLAIN, PLAIN.replace("discount=0", "discount=0, _cache=None")),
        (PLAIN, PLAIN.replace("discount=0", "*discount")),
        (PLAIN, "@property\n" + PLAIN.replace("(prices, discount=0)", "(self)")),
        (SPHINX, SPHINX.replace("prices, discount=0", "*data") + "        self.discount, self.prices = data\n"),
        (PLAIN.replace("discount: what", "whatever: what"), PLAIN.replace("discount: what", "whatever: what")),
        (PLAIN.replace("        discount: what is taken off\n", ""),  # it never spoke of all
         PLAIN.replace("        discount: what is taken off\n", "").replace("=0", "=0, tax=0")),
        (PLAIN, PLAIN.replace("def total", "def other").replace("=0", "=0, tax=0")),
    ],
)  # fmt: skip
def test_what_is_up_to_date_or_never_was_is_left_alone(before: str, now: str) -> None:
    assert stale(before, now) == []


CHECK = ParametersDocumented(path="a.py", symbol="total", told=("prices", "rebate"), gone=("discount",))
RIGHT = PLAIN.replace("discount=0", "rebate=0").replace("discount: what", "rebate: what")


@pytest.mark.parametrize(
    ("text", "closed", "gone", "words"),
    [
        (RIGHT, True, False, "speaks of its parameters"),
        (PLAIN.replace("discount=0", "rebate=0"), False, False, "a.py:7 still speaks of discount"),
        (RIGHT.replace("        rebate: what is taken off\n", ""), False, False, "does not speak of rebate"),
        ("def total(prices, rebate):\n    pass\n", False, False, "does not speak of prices"),
        (RIGHT.replace("def total", "def sums"), False, True, "no total in a.py"),
        (None, False, True, "no a.py"),
        ("def total(:\n", False, False, "cannot be read"),
    ],
)
def test_when_a_docstring_is_right(text: str | None, closed: bool, gone: bool, words: str) -> None:
    answer = parameters_answer(CHECK, None if text is None else text.encode())
    assert (answer.closed, answer.gone, words in answer.reason) == (closed, gone, True), answer


# --- pages ---


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("README.md", True), ("docs/use.md", True), ("doc/api/cart.rst", True), ("README_DE.rst", True),
        ("docs/changes.md", False), ("docs/release-notes/3.md", False), ("docs/migration.rst", False),
        ("CHANGELOG.md", False), ("notes/use.md", False), ("docs/cart.py", False), ("docs/whatsnew.rst", False),
    ],
)  # fmt: skip
def test_what_is_a_page(path: str, page: bool) -> None:
    assert is_page(path) is page


PAGE = """# The shop
Call `sum_up` or `shop.sum_up(x)`.
Sum_up all, the sum_up way, `a sum_up b`.
```python
from shop import sum_up
pip install sum_up
shop.sum_up(1)
```
`sum_up` was removed.
## 1.2 (2020)
`sum_up` came.
## Now
    sum_up(2)
"""


def test_only_code_of_the_present_names_a_thing() -> None:
    assert naming(PAGE, "sum_up") == (2, 5, 7, 13)
    assert naming(PAGE, "sum") == ()


def test_a_call_may_take_several_lines() -> None:
    text = "Use `total(x)`.\n```\ntotal(\n    f(x),\n    discount=1,\n)\nother(discount=1)\nsubtotal(discount=1)\n"
    assert calling(text, "total", "discount") == (3,)
    assert calling("total(discount==1) total(a) discount=3", "total", "discount") == ()


OLD = "def sum_up(prices, discount=0):\n    rows = list(prices)\n    return sum(rows) - discount\n"
NEW = OLD.replace("sum_up", "total")


def pages(now: str, page: str = PAGE, **more: str) -> list[str]:
    gone = list(gone_names({"a.py": now.encode()}, {"a.py": OLD.encode()}))
    code = {"a.py": now.encode()} | {f"{name}.py": text.encode() for name, text in more.items()}
    return [f.goal for f in stale_pages(gone, {"README.md": page.encode()}, code)]


def test_a_page_that_names_what_is_gone() -> None:
    assert pages(NEW) == ["Bring README.md up to date: it names sum_up, which is gone (now total)"]
    assert pages("def other(x):\n    return x\n") == ["Bring README.md up to date: it names sum_up, which is gone"]
    assert pages(OLD.replace("discount", "rebate"), "`sum_up(x, discount=1)`\n") == [
        "Bring README.md up to date: it names the parameter discount of sum_up, which is gone (now rebate)"
    ]


@pytest.mark.parametrize(
    ("now", "more", "page"),
    [
        (OLD, {}, PAGE),
        (NEW + "\n\nsum_up = total\n", {}, PAGE),
        (NEW, {"b": "from a import total as sum_up\n"}, PAGE),
        (NEW, {"b": "NAMES = {'sum_up': 1}\n"}, PAGE),
        (OLD.replace("discount=0", "**more").replace("- discount", ""), {}, "`sum_up(x, discount=1)`\n"),
        (OLD.replace("discount", "rebate"), {"b": "def sum_up(discount): ...\n"}, "`sum_up(x, discount=1)`\n"),
        (OLD.replace("discount", "rebate"), {"b": "class C:\n    def sum_up(self): ...\n"}, "`sum_up(discount=1)`\n"),
        (OLD.replace("discount", "rebate"), {}, "`sum_up(x)` and discount=1\n"),
        ("", {}, PAGE),
    ],
)
def test_what_may_still_be_meant_is_left_alone(now: str, more: dict[str, str], page: str) -> None:
    assert pages(now, page, **more) == []


@pytest.mark.parametrize(
    ("text", "closed", "gone", "words"),
    [
        ("Call `total`.\n", True, False, "does not name sum_up any more"),
        (PAGE, False, False, "README.md:2 still names sum_up"),
        (None, False, True, "no README.md"),
    ],
)
def test_when_a_page_is_right(text: str | None, closed: bool, gone: bool, words: str) -> None:
    answer = page_answer(PageWithout(path="README.md", name="sum_up"), None if text is None else text.encode())
    assert (answer.closed, answer.gone, words in answer.reason) == (closed, gone, True), answer


async def test_what_a_commit_leaves_behind_is_said_once_and_our_own_is_one_deeper(tmp_path: Path) -> None:
    files = {"shop/a.py": PLAIN, "shop/b.py": OLD, "README.md": PAGE, "docs/use.md": "Call `sum_up`.\n"}
    async with scene(tmp_path, files) as s:
        settings = DocStalenessSettings(least_lines=30, per_look=5)
        sensor = DocStaleness(ports=s.ports(), settings=settings)
        assert await sensor.scan_once() == ()
        s.depths["op-1"] = 1
        changed = {"shop/a.py": PLAIN.replace("discount=0", "rebate=0"), "shop/b.py": NEW}
        commit(s.repo, f"rename\n\n{OURS}", {**changed, "docs/use.md": "Call `sum_up` or not.\n"})
        words, page = await sensor.scan_once()
        assert words.goal == "Bring the docstring of total in shop/a.py up to date with its parameters"
        assert (words.targets, words.depth) == (("shop/a.py",), 2)
        assert words.closure == ParametersDocumented(
            path="shop/a.py", symbol="total", told=("prices", "rebate"), gone=("discount",)
        )
        assert page.goal == "Bring README.md up to date: it names sum_up, which is gone (now total)"
        assert "README.md:2, README.md:5" in page.evidence[0].evidence
        assert (page.targets, page.depth) == (("README.md",), 2)
        assert not (await closure_evaluator().is_closed(page.closure, Held({"README.md": PAGE}))).closed
        commit(s.repo, "more", {"shop/b.py": NEW + "\n\nMORE = 1\n"})
        assert await DocStaleness(ports=s.ports(), settings=settings).scan_once() == ()
