"""The parts of a boot that are slow to get: the sandbox is probed, the tests' environment found, the pool built.

Loaded when the socket answers already: all phases and gates come with it.
"""

from __future__ import annotations

from dataclasses import replace

from daemon.adapters.other_repositories import OtherRepositories
from daemon.adapters.test_setup import find_means
from daemon.house import House
from daemon.settings.config import Config
from governance.changes.changes import Changes
from governance.changes.effects import Effects
from governance.changes.hooks import make_hooks
from governance.irongate.candidate.g02_protected import OWN_CODE, OWN_MARK
from governance.irongate.secrets.redaction import redact
from governance.irongate.tool import g18_injection
from governance.irongate.tool.policy import ToolPolicy
from governance.memory.memory import RepositoryMemory
from governance.phases.table import PHASES
from governance.pipeline.context import Services
from governance.pipeline.orchestrator import Orchestrator
from governance.pipeline.pool import Pool
from governance.record import Recorder
from governance.risk.codebase import Codebases
from governance.verification.baseline import Baselines
from ledger.events.event import LedgerEvent
from sensors.closure_checks import ClosurePorts
from sensors.registry import closure_evaluator
from tools.builtin.standard import standard_tools
from tools.index.index import CodeIndex
from tools.manifest import Toolbox
from tools.mcp.servers import McpServers
from tools.sandbox.types import Choice, describe_backend
from tools.testing.environment.guard import Guarded
from tools.testing.runner import TestRunner


async def equip(house: House, *, effects: Effects | None = None, runner_type: type[TestRunner] | None = None) -> str:
    """Probe the sandbox, find the tests' environment, build the rest. Returns why tests cannot run, or nothing.

    ``effects`` is what writes to the owner's repository, ``runner_type`` what runs his tests where
    that is not our own.
    """
    config, settings = house.config, house.config.settings
    runner, problem = await _find_runner(house, runner_type)
    house.changes = _make_changes(house, effects)
    house.servers = make_servers(house)
    await house.servers.start(house.choice.sandbox if house.choice else None)
    memory = RepositoryMemory(ledger=house.ledger, clock=house.clock, settings=settings.memory)
    await memory.load()
    shop = Services(
        places=config.places,
        git=house.git,
        repository=house.repository,
        codebases=Codebases(house.repository),
        workspaces=house.workspaces,
        runner=runner,
        runner_problem=problem,
        sandbox_name=_sandbox_name(house.choice),
        toolbox=make_toolbox(config, house.code, house.servers),
        changes=house.changes,
        provider=house.provider,
        closures=closure_evaluator(
            config.settings,
            ClosurePorts(redact=redact, elsewhere=OtherRepositories(places=config.places, env=config.env)),
        ),
        claims=house.router,
        posture=lambda: house.router.governor.standing.posture.value,
        baselines=Baselines(workspaces=house.workspaces),
        memory=memory,
        trust=house.trust,
        refused=house.refused,
        questions=house.questions,
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


async def equip_again(
    house: House, *, effects: Effects | None = None, runner_type: type[TestRunner] | None = None
) -> str:
    """Look again for what tests need where it was missing. What is found serves from the next phase of any op on."""
    if house.tests.runner is not None or house.orchestrator is None:
        return house.tests.problem
    runner, problem = await _find_runner(house, runner_type)
    if house.servers is not None:
        await house.servers.start(house.choice.sandbox if house.choice else None)
    shop = house.orchestrator.shop
    if runner is not None:  # without one nothing was ever written: no change is in progress
        house.changes = _make_changes(house, effects)
        shop = replace(shop, changes=house.changes)
    house.orchestrator.shop = replace(
        shop, runner=runner, runner_problem=problem, sandbox_name=_sandbox_name(house.choice)
    )
    return problem


async def _find_runner(house: House, runner_type: type[TestRunner] | None) -> tuple[TestRunner | None, str]:
    """What runs the owner's tests, or why nothing can; the house and its sensors know it too."""
    means = await find_means(house.config, heavy=house.heavy, runner_type=runner_type or TestRunner)
    house.choice = means.choice
    house.environment = means.environment or house.environment
    runner, problem = means.runner, means.problem
    house.tests.runner, house.tests.problem = runner, problem
    return runner, problem


def _make_changes(house: House, effects: Effects | None) -> Changes:
    config, settings = house.config, house.config.settings
    sandbox = house.choice.sandbox if house.choice else None
    found = house.environment
    mounts = found.mounts if found else ()
    if sandbox is not None and found is not None and found.guard is not None:
        sandbox = Guarded(sandbox, found.guard)  # hooks are shown the tests' environment, too
    hooks = make_hooks(git=house.git, settings=settings.changes, sandbox=sandbox, mounts=mounts, env=config.env)
    return Changes(
        git=house.git, places=config.places, settings=settings.changes, hooks=hooks, effects=effects, clock=house.clock
    )


def _sandbox_name(choice: Choice | None) -> str:
    """The sandbox as commits name it: the back end, and every wall that it lacks."""
    if choice is None or choice.sandbox is None:
        return "none"
    return describe_backend(choice.sandbox.name, choice.sandbox.missing)


def make_servers(house: House) -> McpServers:
    """The owner's MCP servers, not started. What becomes of each is recorded before it counts."""
    config, record = house.config, Recorder(house.ledger)

    async def note(event: LedgerEvent) -> None:
        await record.note(event)

    return McpServers(
        settings=config.settings.tools.mcp,
        places=config.places,
        env=config.env,
        lookup=config.secret,
        note=note,
        screen=g18_injection.rule_of,
        clock=house.clock,
    )


def make_toolbox(config: Config, index: CodeIndex, servers: McpServers) -> Toolbox:
    """The built-in tools and those of the servers, checked by the tool policy; web tools where a machine is listed."""
    settings = config.settings
    tools = standard_tools(
        config.env,
        settings=settings.builtin,
        tools=settings.tools,
        index=index,
        web=settings.web if settings.tool_policy.domains else None,
        answer_s=settings.approval.timeout_s,
    )
    protected = (*settings.tool_policy.protected, *settings.pipeline.protected_paths)
    rules = settings.tool_policy.model_copy(update={"protected": protected})
    ourselves = (config.places.repo / OWN_MARK).is_file() and not settings.pipeline.open_own_governance
    policy = ToolPolicy(
        tools=[tool.name for tool in tools], settings=rules, servers=servers, own=OWN_CODE if ourselves else ()
    )
    return Toolbox(tools=tools, policy=policy, settings=settings.tools, more=servers, at_once=rules.concurrency)
