"""The parts of a boot that are slow to get: the sandbox is probed, the tests' environment found, the pool built.

Loaded when the socket answers already: all phases and gates come with it.
"""

from __future__ import annotations

from daemon.house import House
from daemon.settings import Config
from governance.baseline import Baselines
from governance.changes.changes import Changes
from governance.changes.effects import Effects
from governance.changes.hooks import make_hooks
from governance.codebase import Codebases
from governance.crew import Shop
from governance.irongate.policy import ToolPolicy
from governance.lessons import Lessons
from governance.orchestrator import Orchestrator
from governance.phases.table import PHASES
from governance.pool import Pool
from sensors.closure import ClosureEvaluator
from tools.builtin.standard import standard_tools
from tools.manifest import Toolbox
from tools.sandbox.choice import choose
from tools.testing.environment import detect
from tools.testing.runner import TestRunner


async def equip(house: House, *, effects: Effects | None = None, runner_type: type[TestRunner] | None = None) -> str:
    """Probe the sandbox, find the tests' environment, build the rest. Returns why tests cannot run, or nothing.

    ``effects`` is what writes to the owner's repository, ``runner_type`` what runs his tests where
    that is not our own.
    """
    config, settings = house.config, house.config.settings
    house.choice = await choose(settings.sandbox, config.places, config.env)
    sandbox = house.choice.sandbox
    problem = "" if sandbox is not None else f"No sandbox holds here, so nothing is run. {house.choice.remedy}"
    runner: TestRunner | None = None
    if sandbox is not None:
        house.environment = await detect(config.places, settings.tests, config.env)
        problem = house.environment.problem or ""
        if not problem:
            runner = (runner_type or TestRunner)(
                sandbox=sandbox,
                environment=house.environment,
                places=config.places,
                settings=settings.tests,
                heavy=house.heavy,
            )
    house.tests.runner, house.tests.problem = runner, problem
    mounts = house.environment.mounts if house.environment else ()
    hooks = make_hooks(git=house.git, settings=settings.changes, sandbox=sandbox, mounts=mounts, env=config.env)
    house.changes = Changes(
        git=house.git, places=config.places, settings=settings.changes, hooks=hooks, effects=effects, clock=house.clock
    )
    shop = Shop(
        places=config.places,
        git=house.git,
        repository=house.repository,
        codebases=Codebases(house.repository),
        workspaces=house.workspaces,
        runner=runner,
        runner_problem=problem,
        sandbox_name=sandbox.name if sandbox else "none",
        toolbox=make_toolbox(config),
        changes=house.changes,
        provider=house.provider,
        closures=ClosureEvaluator(),
        claims=house.router,
        baselines=Baselines(workspaces=house.workspaces),
        lessons=Lessons(),
        refused=house.refused,
        settings=settings.governance,
        clock=house.clock,
        heavy=house.heavy,
    )
    house.orchestrator = Orchestrator(
        shop=shop,
        ledger=house.ledger,
        budget=house.budget,
        inbox=house.inbox,
        phases=PHASES,
        on_phase=house.router.renew,
    )
    house.pool = Pool(
        source=house.router,
        orchestrator=house.orchestrator,
        inbox=house.inbox,
        budget=house.budget,
        ledger=house.ledger,
        clock=house.clock,
        workers=settings.pipeline.workers,
        beat_s=settings.router.lease_s / 3,
    )
    return problem


def make_toolbox(config: Config) -> Toolbox:
    """The built-in tools behind the policy ladder."""
    settings = config.settings
    tools = standard_tools(config.env, settings=settings.builtin, tools=settings.tools)
    policy = ToolPolicy(tools=[tool.name for tool in tools], settings=settings.tool_policy)
    return Toolbox(tools=tools, policy=policy, settings=settings.tools)
