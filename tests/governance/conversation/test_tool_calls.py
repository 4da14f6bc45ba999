"""The calls of one turn side by side: as many as the owner lets, and none refused for it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from governance.conversation.tool_calls import run_calls
from governance.irongate.tool.owner_rules import ToolPolicySettings
from governance.irongate.tool.policy import ToolPolicy
from kernel.provider import ToolCall
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Phase
from tests.governance.crewed import crew_in
from tests.governance.shopfloor import Priced
from tests.repos import make_repo
from tools.builtin.read_file import ReadFile, ReadFileArguments
from tools.manifest import Call, Toolbox


class CountedRead(ReadFile):
    """Counts how many of its calls run at the same time; the first ``most`` wait for each other."""

    def __init__(self, most: int) -> None:
        super().__init__(result_bytes=20_000)
        self.running = self.peak = 0
        self._most, self._full = most, asyncio.Event()

    async def run(self, arguments: ReadFileArguments, call: Call) -> str:
        self.running += 1
        self.peak = max(self.peak, self.running)
        if self.running == self._most:
            self._full.set()
        await self._full.wait()
        text = await super().run(arguments, call)
        self.running -= 1
        return text


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_calls_beyond_the_limit_wait_and_none_is_refused(
    tmp_path: Path, ledger: Ledger, clock: ManualClock, most: int
) -> None:
    repo = make_repo(tmp_path / "shop", {f"f{n}.py": "x = 1\n" for n in range(6)})
    calls = [ToolCall(id="a", name="read_file", arguments=json.dumps({"path": f"f{n}.py"})) for n in range(6)]
    read = CountedRead(most)
    policy = ToolPolicy(tools=[read.name], settings=ToolPolicySettings(concurrency=most))
    toolbox = Toolbox(tools=[read], policy=policy, at_once=most)
    async with crew_in(repo, ledger, clock, Priced()) as (ctx, context), asyncio.timeout(60):
        limited = replace(ctx, services=replace(ctx.services, toolbox=toolbox))
        outcomes = await run_calls(limited, Phase.GENERATE, calls, context)
    assert [outcome.use.ok for outcome in outcomes] == [True] * 6, [outcome.text for outcome in outcomes]
    assert read.peak == most
