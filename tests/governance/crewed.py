"""A context with the real tools and a real ledger, and a context on a workspace of a real repository."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from governance.budget import Budget, BudgetSettings
from governance.conversation.model_client import ModelClient
from governance.irongate.tool.policy import ToolPolicy
from governance.pipeline.context import OpClock, OpContext, OpResources
from governance.record import Recorder
from governance.settings import GovernanceSettings
from kernel.provider import Provider
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Tier
from tests.governance.shopfloor import bare_shop
from tests.repos import git, host_env, make_places
from tools.builtin.standard import standard_tools
from tools.git import Git
from tools.manifest import AnyTool, Toolbox, ToolContext
from tools.workspace import Workspaces, WorkspaceSettings


@asynccontextmanager
async def crew_in(
    repo: Path, ledger: Ledger, clock: ManualClock, provider: Provider, *, more: tuple[AnyTool, ...] = (),
    **loop: Any,
) -> AsyncIterator[tuple[OpContext, ToolContext]]:  # fmt: skip
    """``repo`` has at least one commit; ``loop`` are settings of conversations, ``more`` tools beside the standard."""
    env, places = host_env(), make_places(repo.parent, repo)
    tool = Git(places, env)
    tools = (*standard_tools(env), *more)
    workspaces = Workspaces(tool, places, WorkspaceSettings())
    toolbox = Toolbox(tools=tools, policy=ToolPolicy(tools=[t.name for t in tools]))
    settings = GovernanceSettings.model_validate({"loop": loop, "approval": {"unattended": "listed"}})
    services = bare_shop(
        clock, places=places, git=tool, workspaces=workspaces, toolbox=toolbox, provider=provider, settings=settings
    )  # fmt: skip
    record, budget = Recorder(ledger, op_id="op-1"), Budget(ledger=ledger, clock=clock, settings=BudgetSettings())
    await budget.prepare()
    client = ModelClient(
        provider=provider, budget=budget, record=record, clock=clock, op_id="op-1", route="STANDARD", turn_s=30
    )  # fmt: skip
    ctx = OpContext(
        services=services, record=record, client=client, clock=OpClock(loop_time=0, limit_s=1), resources=OpResources()
    )  # fmt: skip
    workspace = await workspaces.acquire("op-1", git(repo, "rev-parse", "HEAD"))
    try:
        yield ctx, ToolContext(workspace=workspace, op_id="op-1", tier=Tier.SAFE_AUTO, git=tool)
    finally:
        await workspaces.release(workspace)
