"""The second stage: sandbox, test environment, phases, gates, tools. All of them are loaded with this module."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.adapters.other_repositories import OtherRepositories
from daemon.adapters.test_setup import TestSetup, find_test_setup
from daemon.app.core import Core
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
from tools.testing.environment.guard import Guarded
from tools.testing.runner import TestRunner


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What works on ops. ``tests`` may hold the reason why none can be worked on."""

    tests: TestSetup
    changes: Changes
    servers: McpServers
    orchestrator: Orchestrator
    pool: Pool

    async def start_servers(self) -> None:
        """Start the MCP servers that can be started; local ones need the sandbox."""
        await self.servers.start(self.tests.choice.sandbox)


async def find_tests(core: Core, *, runner_type: type[TestRunner] | None = None) -> TestSetup:
    """Probe the sandbox and find the test environment, which takes a second. ``runner_type``: default our own."""
    return await find_test_setup(core.config, heavy=core.heavy, runner_type=runner_type or TestRunner)


async def build_runtime(core: Core, tests: TestSetup, *, effects: Effects | None = None) -> Runtime:
    """Build the second stage on the first. ``effects`` is what writes to the owner's repository; default: for real.

    Nothing is started.
    """
    config, settings = core.config, core.config.settings
    changes, servers = make_changes(core, tests, effects), make_servers(core)
    memory = RepositoryMemory(ledger=core.ledger, clock=core.clock, settings=settings.memory)
    await memory.load()
    services = Services(
        places=config.places,
        git=core.git,
        repository=core.repository,
        codebases=Codebases(core.repository),
        workspaces=core.workspaces,
        tests=tests.runner,
        sandbox_name=tests.sandbox_name,
        toolbox=make_toolbox(config, core.code, servers),
        changes=changes,
        provider=core.provider,
        closures=closure_evaluator(
            settings, ClosurePorts(redact=redact, elsewhere=OtherRepositories(places=config.places, env=config.env))
        ),
        claims=core.router,
        posture=lambda: core.router.governor.current.posture.value,
        baselines=Baselines(workspaces=core.workspaces),
        memory=memory,
        trust=core.trust,
        refused=core.refused,
        questions=core.questions,
        settings=settings.governance,
        clock=core.clock,
        heavy=core.heavy,
    )
    orchestrator = Orchestrator(
        services=services,
        ledger=core.ledger,
        budget=core.budget,
        inbox=core.inbox,
        phases=PHASES,
        on_phase=core.router.renew,
    )
    pool = Pool(
        source=core.router,
        orchestrator=orchestrator,
        inbox=core.inbox,
        budget=core.budget,
        ledger=core.ledger,
        clock=core.clock,
        reports=core.reports,
        workers=settings.pipeline.workers,
        beat_s=settings.router.lease_s / 3,
    )
    return Runtime(tests=tests, changes=changes, servers=servers, orchestrator=orchestrator, pool=pool)


def make_changes(core: Core, tests: TestSetup, effects: Effects | None) -> Changes:
    """What writes changes and commits. The owner's hooks run in the sandbox and see the tests' environment."""
    config, settings = core.config, core.config.settings.changes
    sandbox, environment = tests.choice.sandbox, tests.environment
    if sandbox is not None and environment is not None and environment.guard is not None:
        sandbox = Guarded(sandbox, environment.guard)
    mounts = environment.mounts if environment is not None else ()
    hooks = make_hooks(git=core.git, settings=settings, sandbox=sandbox, mounts=mounts, env=config.env)
    return Changes(
        git=core.git, places=config.places, settings=settings, hooks=hooks, effects=effects, clock=core.clock
    )


def make_servers(core: Core) -> McpServers:
    """The owner's MCP servers, not started. What becomes of each is recorded before it counts."""
    config, record = core.config, Recorder(core.ledger)

    async def note(event: LedgerEvent) -> None:
        await record.note(event)

    return McpServers(
        settings=config.settings.tools.mcp,
        places=config.places,
        env=config.env,
        lookup=config.secret,
        note=note,
        screen=g18_injection.rule_of,
        clock=core.clock,
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
