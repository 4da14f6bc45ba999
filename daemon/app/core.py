"""The first stage: the parts that exist as soon as the ledger is open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from daemon.adapters.intake_ports import intake_ports
from daemon.adapters.machine import gauges_for
from daemon.record.history import History
from daemon.record.optable import OpTable
from daemon.settings.config import Config
from governance.approval.inbox import Inbox
from governance.approval.questions import Questions
from governance.approval.refusals import Refused
from governance.budget import Budget
from governance.grounding.trust import Trust
from governance.pipeline.work_reports import WorkReports
from kernel.provider import Provider
from ledger.clock import Clock
from ledger.store import Ledger
from sensors.bus import Bus, Event, Topic
from sensors.health.health import Health
from sensors.intake.router import IntakeRouter
from tools.git import Git
from tools.index.index import CodeIndex
from tools.index.store import FactStore
from tools.repository import Repository
from tools.workspace import Workspaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The cheap parts of one boot."""

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
    bus: Bus
    health: Health
    router: IntakeRouter
    reports: WorkReports
    table: OpTable
    history: History
    code: CodeIndex
    heavy: asyncio.Semaphore  # held by what takes a whole processor: model, tests

    async def aclose(self) -> None:
        """Release workspaces and the code index. The ledger and the provider are closed by the life cycle."""
        await self.workspaces.close()
        await self.code.close()


async def build_core(
    config: Config, *, ledger: Ledger, clock: Clock, boot: str, provider: Provider, lag_ms: Callable[[], int] = int
) -> Core:
    """Build and load the first stage. ``lag_ms``: how late the event loop is, while that is measured."""
    settings, places = config.settings, config.places
    git = Git(places, config.env)
    repository = Repository(git)
    bus = Bus(clock=clock, settings=settings.bus)
    health = Health(
        gauges=gauges_for(places),
        clock=clock,
        settings=settings.health,
        lag_ms=lag_ms,
        on_sample=lambda: bus.publish(Event(topic=Topic.HEALTH_SAMPLED)),
    )
    budget = Budget(ledger=ledger, clock=clock, settings=settings.budget)
    trust, table = Trust(), OpTable()
    ports = intake_ports(git=git, repository=repository, budget=budget, health=health, trust=trust)
    core = Core(
        config=config,
        clock=clock,
        boot=boot,
        ledger=ledger,
        git=git,
        repository=repository,
        workspaces=Workspaces(git, places, settings.workspace),
        provider=provider,
        budget=budget,
        inbox=Inbox(ledger=ledger, clock=clock, settings=settings.approval),
        refused=Refused(ledger=ledger),
        questions=Questions(ledger=ledger, clock=clock, settings=settings.approval),
        trust=trust,
        bus=bus,
        health=health,
        router=IntakeRouter(
            ledger=ledger, clock=clock, boot=boot, settings=settings.router, caps=settings.governor, ports=ports
        ),
        reports=WorkReports(),
        table=table,
        history=History(ledger=ledger, table=table),
        code=CodeIndex(
            store=FactStore(places.code_index),
            limit=settings.builtin.indexed_files,
            largest_bytes=settings.builtin.indexed_file_bytes,
        ),
        heavy=asyncio.Semaphore(1),
    )
    for part in (core.budget, core.inbox, core.refused, core.questions):
        await part.prepare()
    await trust.load(ledger)
    return core
