"""Everything that lives for one boot. What is slow to get (sandbox, test environment) comes later: `daemon.equip`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.adapters.machine import gauges_for
from daemon.adapters.ports import BranchQuestions, CommittedTests, Outlook, admit, may_release, record_of
from daemon.settings.config import Config
from governance.approval.inbox import Inbox
from governance.approval.questions import Questions
from governance.approval.refusals import Refused
from governance.budget import Budget
from governance.grounding.trust import Trust
from governance.irongate.secrets.redaction import redact
from kernel.provider import Provider
from ledger.clock import Clock
from ledger.store import Ledger
from sensors.health.health import Health
from sensors.intake.declared_goals import DeclaredGoals
from sensors.intake.router import IntakeRouter
from tools.git import Git
from tools.index.index import CodeIndex
from tools.index.store import FactStore
from tools.repository import Repository
from tools.workspace import Workspaces

if TYPE_CHECKING:
    from governance.changes.changes import Changes
    from governance.pipeline.orchestrator import Orchestrator
    from governance.pipeline.pool import Pool
    from tools.mcp.servers import McpServers
    from tools.sandbox.types import Choice
    from tools.testing.environment.detection import TestEnvironment


@dataclass(slots=True, kw_only=True)
class House:
    """The parts that exist as soon as the ledger is open. ``pool`` and ``changes`` come with `equip`."""

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
    questions: Questions
    trust: Trust
    router: IntakeRouter
    health: Health
    tests: CommittedTests
    code: CodeIndex
    heavy: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    choice: Choice | None = None
    environment: TestEnvironment | None = None
    changes: Changes | None = None
    orchestrator: Orchestrator | None = None
    pool: Pool | None = None
    servers: McpServers | None = None


async def furnish(config: Config, *, ledger: Ledger, clock: Clock, boot: str, provider: Provider) -> House:
    """The cheap parts: nothing here starts a process or waits for one."""
    settings, places = config.settings, config.places
    git = Git(places, config.env)
    repository = Repository(git)
    workspaces = Workspaces(git, places, settings.workspace)
    questions = BranchQuestions(repository=repository)
    health = Health(gauges=gauges_for(places), clock=clock, settings=settings.health)
    budget = Budget(ledger=ledger, clock=clock, settings=settings.budget)
    trust = Trust()
    house = House(
        config=config,
        clock=clock,
        boot=boot,
        ledger=ledger,
        git=git,
        repository=repository,
        workspaces=workspaces,
        provider=provider,
        budget=budget,
        inbox=Inbox(ledger=ledger, clock=clock, settings=settings.approval),
        refused=Refused(ledger=ledger),
        questions=Questions(ledger=ledger, clock=clock, settings=settings.approval),
        trust=trust,
        router=IntakeRouter(
            ledger=ledger,
            clock=clock,
            boot=boot,
            settings=settings.router,
            admit=admit,
            may_release=may_release,
            branch_lives=questions.lives,
            head=questions.head,
            caps=settings.governor,
            record=record_of(trust),
            goals=DeclaredGoals(files=repository, clock=clock, redact=redact),
            look=Outlook(budget=budget, health=health).look,
            redact=redact,
        ),
        health=health,
        tests=CommittedTests(workspaces=workspaces, limit_s=settings.pipeline.suite_budget_s),
        code=CodeIndex(
            store=FactStore(places.code_index),
            limit=settings.builtin.indexed_files,
            largest_bytes=settings.builtin.indexed_file_bytes,
        ),
    )
    for part in (house.budget, house.inbox, house.refused, house.questions):
        await part.prepare()
    await trust.load(ledger)
    return house
