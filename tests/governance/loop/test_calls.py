"""The calls of one turn side by side: as many as the owner lets, and none refused for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from governance.crew import Crew
from governance.irongate.policy import ToolPolicy
from governance.irongate.rules import ToolPolicySettings
from governance.loop.calls import run_calls
from kernel.provider import ToolCall
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import State
from tests.governance.crewed import crew_in
from tests.governance.shopfloor import Priced
from tests.repos import host_env, make_repo
from tools.builtin.standard import standard_tools
from tools.manifest import Toolbox


def with_at_once(crew: Crew, most: int) -> Crew:
    """The same crew behind a policy that lets so many calls run at once."""
    tools = standard_tools(host_env())
    policy = ToolPolicy(tools=[tool.name for tool in tools], settings=ToolPolicySettings(concurrency=most))
    return replace(crew, shop=replace(crew.shop, toolbox=Toolbox(tools=tools, policy=policy, at_once=most)))


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_what_is_too_many_at_once_waits(tmp_path: Path, ledger: Ledger, clock: ManualClock, most: int) -> None:
    repo = make_repo(tmp_path / "shop", {f"f{n}.py": "x = 1\n" for n in range(6)})
    calls = [ToolCall(id="a", name="read_file", arguments=json.dumps({"path": f"f{n}.py"})) for n in range(6)]
    async with crew_in(repo, ledger, clock, Priced()) as (crew, context):
        outcomes = await run_calls(with_at_once(crew, most), State.GENERATE, calls, context)
    assert [outcome.use.ok for outcome in outcomes] == [True] * 6, [outcome.text for outcome in outcomes]
