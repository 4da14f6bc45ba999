"""A real repository, a real workspace of it, and a toolbox on the real policy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from governance.irongate.tool.owner_rules import ToolPolicySettings
from governance.irongate.tool.policy import ToolPolicy
from ledger.clock import ManualClock, unstamp
from ledger.vocabulary import Tier
from tests.repos import commit, git, host_env, make_places, make_repo
from tools.builtin.standard import standard_tools
from tools.git import Git
from tools.manifest import Toolbox, ToolContext, ToolOutcome, ToolSettings
from tools.workspace import Workspaces, WorkspaceSettings

FILES = {
    "src/calc.py": (
        '"""Sums."""\n\n\nclass Calc:\n    def add(self, a: int, b: int) -> int:\n        return a - b\n\n\n'
        "def total(values):\n    calc = Calc()\n    out = 0\n    for v in values:\n"
        "        out = calc.add(out, v)\n    return out\n"
    ),
    "src/report.py": (
        "from src.calc import total\n\n\nasync def show(values):\n    print(total(values))\n\n\nTOTAL = total([1])\n"
    ),
    "src/broken.py": "def total(:\n",
    "tests/test_calc.py": "from src.calc import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n",
    "docs/long.txt": "".join(f"line {i} of a long text about total\n" for i in range(1, 2001)),
    "certs/server.pem": "total secret\n",
    ".github/ci.yml": "run: total\n",
    "odd [name].py": "total = 1\n",
}  # fmt: skip


@dataclass
class Bench:
    """What a test calls."""

    box: Toolbox
    context: ToolContext
    clock: ManualClock
    repo: Path

    async def __call__(self, tool: str, arguments: str = "{}") -> ToolOutcome:
        return await self.box.call(tool, arguments, self.context)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    repo = make_repo(tmp_path / "repo", FILES)
    (repo / "link.py").symlink_to("src/calc.py")
    (repo / "away").symlink_to(tmp_path)
    commit(repo, "add links\n\nwith a body", {"src/calc.py": FILES["src/calc.py"] + "\n\nLIMIT = 1\n"})
    places = make_places(tmp_path, repo)
    clean = Git(places, host_env())
    workspaces = Workspaces(clean, places, WorkspaceSettings(memory_folder=""))
    workspace = await workspaces.acquire("op-1", git(repo, "rev-parse", "HEAD"))
    settings = ToolSettings()
    tools = standard_tools(host_env(), tools=settings)
    clock = ManualClock(unstamp("2026-01-01T00:00:00.000Z"))
    policy = ToolPolicy(tools=[t.name for t in tools], settings=ToolPolicySettings(rates={"list_dir": 3}))
    box = Toolbox(tools=tools, policy=policy, settings=settings, clock=clock)
    context = ToolContext(workspace=workspace, op_id="op-1", tier=Tier.SAFE_AUTO, git=clean)
    yield Bench(box=box, context=context, clock=clock, repo=repo)
    await workspaces.release(workspace)
