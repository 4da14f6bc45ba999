"""Exploration by script: an entry for each call, and what the calls say decides between equals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from governance.conversation.conversation import read_files
from governance.conversation.exploration import (
    FileExploration,
    enclosing,
    explore,
    module_name,
    nearest_first,
    transitive_callers,
)
from governance.irongate.candidate.g04_exploration import FLOORS, ExplorationFacts, check, score_exploration
from governance.pipeline.context import OpContext
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Complexity, Decision, EntryKind
from tests.governance.crewed import crew_in
from tests.governance.shopfloor import Priced
from tests.repos import commit, make_repo
from tools.manifest import ToolContext
from tools.testing.localisation.ranking import Suspicion

FILES = {
    "shop/__init__.py": "",
    "shop/cart.py": "class Cart:\n    def total(self):\n        return rate(1)\n",
    "shop/tax.py": "async def rate(x):\n    return x\n",
    "tests/test_cart.py": "from shop.cart import Cart\n\n\ndef test_total():\n    assert Cart().total() == 1\n",
}


@pytest.fixture
async def scout(ledger: Ledger, clock: ManualClock, tmp_path: Path) -> AsyncIterator[tuple[OpContext, ToolContext]]:
    """A context with the real tools, and their context on a workspace of a real repository."""
    repo = make_repo(tmp_path / "shop", FILES)
    commit(repo, "Change the tax", {"shop/tax.py": FILES["shop/tax.py"] + "\n"})
    async with crew_in(repo, ledger, clock, Priced()) as found:
        yield found


async def test_every_call_of_the_script_is_an_entry_and_its_result_is_kept(
    scout: tuple[OpContext, ToolContext], ledger: Ledger
) -> None:
    ctx, context = scout
    found = (await explore(ctx, context, ["shop/cart.py", "shop/tax.py", "shop/cart.py"])).files
    cart, tax = found["shop/cart.py"], found["shop/tax.py"]
    assert cart.symbols == ((1, 3, "Cart"), (2, 3, "total")) and tax.symbols == ((1, 2, "rate"),)
    assert "tests/test_cart.py" in cart.mentioned_in
    assert cart.changed and tax.changed
    told = await ledger.entries(kinds=(EntryKind.TOOL,))
    assert [e.payload["tool"] for e in told] == 2 * ["read_file", "list_symbols", "search_code", "git_log"]
    assert sum(e.payload["score"] for e in told) == sum(u.score for u in context.uses)
    assert b"class Cart" in await ledger.get_blob(str(told[1].payload["result"]))


async def test_files_that_are_read_for_a_prompt_leave_entries_too(
    scout: tuple[OpContext, ToolContext], ledger: Ledger
) -> None:
    ctx, context = scout
    assert list(await read_files(ctx, context, ["shop/cart.py", "shop/none.py"])) == ["shop/cart.py"]
    told = [(e.payload["event"], e.payload["tool"], e.payload["ok"]) for e in await ledger.entries()]
    assert told == [("tool.called", "read_file", True), ("tool.called", "read_file", False)]


def suspect(path: str, line: int, score: int = 5_000) -> Suspicion:
    return Suspicion(path=path, line=line, score_bp=score, why="")


FOUND = {
    "a.py": FileExploration(symbols=((1, 9, "far"), (10, 20, "near")), changed="2026-01-01"),
    "b.py": FileExploration(
        symbols=((1, 9, "other"),), mentioned_in=frozenset({"tests/test_x.py"}), changed="2026-01-01"
    ),
    "c.py": FileExploration(changed="2026-02-01"),
}


def test_among_equals_what_the_failing_test_names_comes_first_then_what_is_new() -> None:
    places = [suspect("a.py", 2), suspect("a.py", 12), suspect("b.py", 1), suspect("c.py", 1), suspect("d.py", 1)]
    ordered = nearest_first(places, FOUND, test_files={"tests/test_x.py"}, said="assert near(1) == 2")
    assert [(p.path, p.line) for p in ordered] == [("a.py", 12), ("b.py", 1), ("c.py", 1), ("a.py", 2), ("d.py", 1)]


def test_suspicion_comes_before_all_of_it() -> None:
    places = [suspect("d.py", 1, 5_001), suspect("a.py", 12)]
    assert nearest_first(places, FOUND, test_files=(), said="near") == tuple(places)


@pytest.mark.parametrize(
    ("path", "word"),
    [("shop/cart.py", "cart"), ("cart.py", "cart"), ("shop/__init__.py", "shop"), ("__init__.py", "__init__")],
)
def test_the_word_for_a_module(path: str, word: str) -> None:
    assert module_name(path) == word


# --- as far around as the op's complexity asks -----------------------------------------------------------------------

ONE_FILE = {
    "rate.py": "def rate(x):\n    return x\n",
    "test_rate.py": "from rate import rate\n\n\ndef test_rate():\n    assert rate(1) == 2\n",
}


@pytest.mark.parametrize("files", [FILES, ONE_FILE], ids=["several files", "one function"])
@pytest.mark.parametrize("complexity", Complexity)
async def test_the_script_meets_the_floor_of_every_complexity(
    ledger: Ledger, clock: ManualClock, tmp_path: Path, complexity: Complexity, files: dict[str, str]
) -> None:
    """With one file to change, of which as little is known as can be; and no further than is asked."""
    target = next(iter(path for path in files if path.endswith(("cart.py", "rate.py"))))
    async with crew_in(make_repo(tmp_path / "shop", files), ledger, clock, Priced()) as (ctx, context):
        found = await explore(ctx, context, [target], complexity=complexity, lines=[suspect(target, 2)])
    uses = tuple(context.uses)
    verdict = check(ExplorationFacts(complexity=complexity, uses=uses, changed=(target,), read=tuple(context.reads)))
    assert verdict.decision is Decision.ALLOW, verdict.reason
    assert all(use.ok for use in uses), "no call is made for its score alone"
    assert len(found.results) == len(uses), "every result is there to be used"
    spare = score_exploration(uses).score - FLOORS[complexity].score
    assert complexity <= Complexity.SIMPLE or spare < 4


async def test_callers_of_callers_are_found_and_used(ledger: Ledger, clock: ManualClock, tmp_path: Path) -> None:
    """The test calls ``total``, which calls ``rate``: a line in ``rate`` is nearer than one that nobody reaches."""
    files = FILES | {"shop/tax.py": "def other(x):\n    return x\n\n\ndef rate(x):\n    return x\n"}
    places = [suspect("shop/tax.py", 2), suspect("shop/tax.py", 6)]
    async with crew_in(make_repo(tmp_path / "shop", files), ledger, clock, Priced()) as (ctx, context):
        found = await explore(ctx, context, ["shop/tax.py"], complexity=Complexity.ARCHITECTURAL, lines=places[::-1])
    assert "tests/test_cart.py" in found.files["shop/tax.py"].called_in["rate"]
    ordered = nearest_first(places, found.files, test_files={"tests/test_cart.py"}, said="nothing")
    assert [p.line for p in ordered] == [6, 2]


def test_a_circle_of_calls_has_an_end() -> None:
    calling = {"a": frozenset({("x.py", "b")}), "b": frozenset({("y.py", "a")})}
    assert transitive_callers("a", calling) == {"x.py", "y.py"} and transitive_callers("c", calling) == frozenset()


def test_the_innermost_symbol_is_the_one_around_a_line() -> None:
    found = FileExploration(symbols=((1, 9, "Cart"), (2, 4, "total"), (6, 8, "items")))
    assert [enclosing(found, line) for line in (1, 3, 5, 7, 12)] == ["Cart", "total", "Cart", "items", ""]


def test_what_changed_since_the_failing_test_comes_before_what_did_not() -> None:
    found = {
        "a.py": FileExploration(changed="2026-01-01"),
        "b.py": FileExploration(changed="2026-03-01"),
        "t.py": FileExploration(changed="2026-02-01"),
    }
    ordered = nearest_first([suspect("a.py", 1), suspect("b.py", 1)], found, test_files={"t.py"}, said="")
    assert [p.path for p in ordered] == ["b.py", "a.py"]
