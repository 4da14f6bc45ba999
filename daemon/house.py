"""Everything that lives for one boot, wired together. What is slow to get (sandbox, test environment) comes later."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from daemon.doors import BranchQuestions, CommittedTests, admit
from daemon.settings import Config
from governance.approval import Inbox
from governance.baseline import Baselines
from governance.budget import Budget
from governance.changes.changes import Changes
from governance.changes.effects import Effects
from governance.changes.hooks import make_hooks
from governance.crew import Shop
from governance.irongate.policy import ToolPolicy
from governance.lessons import Lessons
from governance.orchestrator import Orchestrator
from governance.phases.table import PHASES
from governance.pool import Pool
from governance.refused import Refused
from kernel.provider import Provider
from ledger.clock import Clock
from ledger.store import Ledger
from sensors.closure import ClosureEvaluator
from sensors.intake.router import IntakeRouter
from tools.builtin.standard import standard_tools
from tools.git import Git
from tools.manifest import Toolbox
from tools.repository import Repository
from tools.sandbox.choice import choose
from tools.sandbox.types import Choice
from tools.testing.environment import TestEnvironment, detect
from tools.testing.runner import TestRunner
from tools.workspace import Workspaces


@dataclass(slots=True, kw_only=True)
class House:
    """The parts that exist as soon as the ledger is open. ``pool`` and ``changes`` come with :func:`equip`."""

    config: Config
    clock: Clock
    boot: str
    ledger: Ledger
    git: Git
    repository: Repository
    workspaces: Workspaces
    provider: Provider
    budget: Budget
    inbox: Inbox
    refused: Refused
    router: IntakeRouter
    tests: CommittedTests
    heavy: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    choice: Choice | None = None
    environment: TestEnvironment | None = None
    changes: Changes | None = None
    orchestrator: Orchestrator | None = None
    pool: Pool | None = None


async def furnish(config: Config, *, ledger: Ledger, clock: Clock, boot: str, provider: Provider) -> House:
    """The cheap parts: nothing here starts a process or waits for one."""
    settings, places = config.settings, config.places
    git = Git(places, config.env)
    repository = Repository(git)
    workspaces = Workspaces(git, places, settings.workspace)
    questions = BranchQuestions(repository=repository)
    house = House(
        config=config,
        clock=clock,
        boot=boot,
        ledger=ledger,
        git=git,
        repository=repository,
        workspaces=workspaces,
        provider=provider,
        budget=Budget(ledger=ledger, clock=clock, settings=settings.budget),
        inbox=Inbox(ledger=ledger, clock=clock, settings=settings.approval),
        refused=Refused(ledger=ledger),
        router=IntakeRouter(
            ledger=ledger,
            clock=clock,
            boot=boot,
            settings=settings.router,
            admit=admit,
            branch_lives=questions.lives,
            head=questions.head,
        ),
        tests=CommittedTests(workspaces=workspaces, limit_s=settings.pipeline.suite_budget_s),
    )
    for part in (house.budget, house.inbox, house.refused):
        await part.prepare()
    return house


async def equip(house: House, *, effects: Effects | None = None, runner_type: type[TestRunner] = TestRunner) -> str:
    """Probe the sandbox, find the tests' environment, build the rest. Returns why tests cannot run, or nothing.

    ``effects`` is what writes to the owner's repository, ``runner_type`` what runs his tests.
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
            runner = runner_type(
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
