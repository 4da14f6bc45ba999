"""Exploration by script: an entry for each call, and what the calls say decides between equals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from governance.ask import Asker
from governance.budget import Budget, BudgetSettings
from governance.crew import Crew, Holdings, OpClock
from governance.explore import Found, explore, module_name, nearest_first
from governance.irongate.policy import ToolPolicy
from governance.loop.conversation import read_files
from governance.record import Recorder
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import EntryKind, Tier
from tests.governance.shopfloor import Priced, bare_shop
from tests.repos import commit, git, host_env, make_places, make_repo
from tools.builtin.standard import standard_tools
from tools.git import Git
from tools.manifest import Toolbox, ToolContext
from tools.testing.localise import Suspicion
from tools.workspace import Workspaces, WorkspaceSettings

FILES = {
    "shop/__init__.py": "",
    "shop/cart.py": "class Cart:\n    def total(self):\n        return rate(1)\n",
    "shop/tax.py": "async def rate(x):\n    return x\n",
    "tests/test_cart.py": "from shop.cart import Cart\n\n\ndef test_total():\n    assert Cart().total() == 1\n",
}


@pytest.fixture
async def scout(ledger: Ledger, clock: ManualClock, tmp_path: Path) -> Any:
    """A crew with the real tools, and their context on a workspace of a real repository."""
    repo = make_repo(tmp_path / "shop", FILES)
    commit(repo, "Change the tax", {"shop/tax.py": FILES["shop/tax.py"] + "\n"})
    env, places = host_env(), make_places(tmp_path, repo)
    tool = Git(places, env)
    tools = standard_tools(env)
    workspaces = Workspaces(tool, places, WorkspaceSettings())
    toolbox = Toolbox(tools=tools, policy=ToolPolicy(tools=[t.name for t in tools]))
    shop = bare_shop(clock, places=places, git=tool, workspaces=workspaces, toolbox=toolbox, provider=Priced())
    record = Recorder(ledger, op_id="op-1")
    asker = Asker(
        provider=shop.provider, budget=Budget(ledger=ledger, clock=clock, settings=BudgetSettings()), record=record,
        clock=clock, op_id="op-1", route="STANDARD", turn_s=1,
    )  # fmt: skip
    crew = Crew(
        shop=shop, record=record, asker=asker, clock=OpClock(loop_time=0, limit_s=1), holdings=Holdings()
    )  # fmt: skip
    workspace = await workspaces.acquire("op-1", git(repo, "rev-parse", "HEAD"))
    yield crew, ToolContext(workspace=workspace, op_id="op-1", tier=Tier.SAFE_AUTO, git=tool)
    await workspaces.release(workspace)


async def test_every_call_of_the_script_is_an_entry_and_its_result_is_kept(
    scout: tuple[Crew, ToolContext], ledger: Ledger
) -> None:
    crew, context = scout
    found = (await explore(crew, context, ["shop/cart.py", "shop/tax.py", "shop/cart.py"])).files
    cart, tax = found["shop/cart.py"], found["shop/tax.py"]
    assert cart.symbols == ((1, 3, "Cart"), (2, 3, "total")) and tax.symbols == ((1, 2, "rate"),)
    assert "tests/test_cart.py" in cart.mentioned_in
    assert cart.changed and tax.changed
    told = await ledger.entries(kinds=(EntryKind.TOOL,))
    assert [e.payload["tool"] for e in told] == 2 * ["read_file", "list_symbols", "search_code", "git_log"]
    assert sum(e.payload["score"] for e in told) == sum(u.score for u in context.uses)
    assert b"class Cart" in await ledger.get_blob(str(told[1].payload["result"]))


async def test_files_that_are_read_for_a_prompt_leave_entries_too(
    scout: tuple[Crew, ToolContext], ledger: Ledger
) -> None:
    crew, context = scout
    assert list(await read_files(crew, context, ["shop/cart.py", "shop/none.py"])) == ["shop/cart.py"]
    told = [(e.payload["event"], e.payload["tool"], e.payload["ok"]) for e in await ledger.entries()]
    assert told == [("tool.called", "read_file", True), ("tool.called", "read_file", False)]


def suspect(path: str, line: int, score: int = 5_000) -> Suspicion:
    return Suspicion(path=path, line=line, score_bp=score, why="")


FOUND = {
    "a.py": Found(symbols=((1, 9, "far"), (10, 20, "near")), changed="2026-01-01"),
    "b.py": Found(symbols=((1, 9, "other"),), mentioned_in=frozenset({"tests/test_x.py"}), changed="2026-01-01"),
    "c.py": Found(changed="2026-02-01"),
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
