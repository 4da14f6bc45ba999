"""A pool with scripted phases over a real ledger and a real inbox: what moves an op, without what works on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from governance.approval.inbox import Inbox
from governance.approval.refusals import Refused
from governance.budget import Budget, BudgetSettings
from governance.grounding.trust import Trust
from governance.memory.memory import RepositoryMemory
from governance.memory.settings import MemorySettings
from governance.phases.table import PHASES
from governance.pipeline.context import OpContext, Services
from governance.pipeline.dossier import Dossier, Generation
from governance.pipeline.ending import Ending
from governance.pipeline.orchestrator import Orchestrator
from governance.pipeline.phase import PhaseResult, PhaseRun, ResultKind
from governance.pipeline.pool import Pool
from governance.pipeline.work_reports import WorkReports
from governance.settings import ApprovalSettings, GovernanceSettings
from kernel.provider import Capabilities, Done, Event, Health, Limits, Message, Price, Usage
from ledger.clock import Clock
from ledger.store import Ledger
from ledger.vocabulary import Entry, Operation, Phase, RootCause, State
from tests.governance.ops import candidate, modify

WANTED = candidate(modify("shop/cart.py", b"x = 1\n", b"x = 2\n"))
PRICE = Price(input=1_000_000, output=0)  # one micro-dollar a token in


def bare_shop(clock: Clock, **parts: Any) -> Services:
    """A shop that holds ``parts``, and nothing where a test touches nothing."""
    nothing: dict[str, Any] = dict.fromkeys(Services.__dataclass_fields__)
    plain = {"sandbox_name": "none", "settings": GovernanceSettings(), "posture": str}
    held = plain | {"trust": Trust()} | parts
    return Services(**(nothing | held | {"clock": clock, "heavy": asyncio.Semaphore(1)}))


class Priced:
    """A model that says nothing and takes a micro-dollar for every token in."""

    name, model = "priced", "m@1"
    price: Price | None = PRICE
    capabilities = Capabilities(tools=True)

    def __init__(self, tokens: int = 0) -> None:
        self.tokens = tokens
        self.heard: list[str] = []

    async def health(self) -> Health:
        return Health(ready=True, detail="")

    def count_tokens(self, text: str) -> int:
        return len(text)

    async def respond(self, conversation: Any, tools: Any, limits: Limits) -> AsyncIterator[Event]:
        self.heard += [m.text for m in cast(list[Message], conversation)]
        yield Done(finish="stop", usage=Usage(tokens_in=self.tokens))

    async def aclose(self) -> None:
        return None


@dataclass
class Feed:
    """A work source: hands out what was put, and remembers what was given back."""

    waiting: asyncio.Queue[Operation] = field(default_factory=asyncio.Queue)
    steps: list[tuple[str, str]] = field(default_factory=list)
    finished: list[tuple[str, State, RootCause, bool]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def next(self) -> Operation:
        return await self.waiting.get()

    async def started(self, op_id: str) -> None:
        self.steps.append(("started", op_id))

    async def renew(self, op_id: str) -> None:
        return None

    async def park(self, op_id: str) -> None:
        self.steps.append(("park", op_id))

    async def unpark(self, op_id: str) -> None:
        self.steps.append(("unpark", op_id))

    async def finish(
        self, op_id: str, state: State, *, cause: RootCause, branch: str | None = None, retry: bool = False
    ) -> None:
        self.finished.append((op_id, state, cause, retry))
        self.changed.set()


async def with_candidate(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    return PhaseResult(output=Generation(candidate=WANTED), reason="scripted")


async def ask_a_person(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    return PhaseResult(kind=ResultKind.WAITING, reason="only the owner can say")


def onward(kind: ResultKind = ResultKind.DONE) -> PhaseRun:
    async def go(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
        return PhaseResult(kind=kind, reason="scripted")

    return go


STRAIGHT: Mapping[Phase, PhaseRun] = {spec.name: onward() for spec in PHASES} | {
    Phase.ROUTE: onward(ResultKind.TRIVIAL),
    Phase.GENERATE: with_candidate,
    Phase.APPROVE: ask_a_person,
}


@dataclass
class Floor:
    """The parts that a test looks at."""

    pool: Pool
    feed: Feed
    orchestrator: Orchestrator
    inbox: Inbox
    budget: Budget
    refused: Refused
    memory: RepositoryMemory
    ledger: Ledger
    reports: WorkReports

    async def ended(self, within_s: float = 5) -> Ending:
        return await asyncio.wait_for(self.reports.ended.get(), within_s)

    async def told(self, op: Operation, event: str) -> list[Entry]:
        return [e for e in await self.ledger.entries(op_id=op.id) if e.payload.get("event") == event]


@asynccontextmanager
async def working(
    ledger: Ledger,
    clock: Clock,
    *,
    phases: Mapping[Phase, PhaseRun] | None = None,
    provider: Any = None,
    workers: int = 1,
    ceilings: Mapping[str, int] | None = None,
    settings: GovernanceSettings | None = None,
) -> AsyncIterator[Floor]:
    """A pool that runs until the block ends. ``phases`` replace some of :data:`STRAIGHT`."""
    settings = settings or GovernanceSettings(approval=ApprovalSettings(timeout_s=600))
    budget = Budget(ledger=ledger, clock=clock, settings=BudgetSettings.model_validate(ceilings or {}))
    inbox, refused = Inbox(ledger=ledger, clock=clock, settings=settings.approval), Refused(ledger=ledger)
    for part in (budget, inbox, refused):
        await part.prepare()
    memory, feed, trust = RepositoryMemory(ledger=ledger, clock=clock, settings=MemorySettings()), Feed(), Trust()
    await trust.load(ledger)
    services = bare_shop(
        clock, provider=provider or Priced(), memory=memory, refused=refused, settings=settings, trust=trust
    )  # fmt: skip
    run = {**STRAIGHT, **(phases or {})}
    orchestrator = Orchestrator(
        services=services, ledger=ledger, budget=budget, inbox=inbox, on_phase=feed.renew,
        phases=[replace(spec, run=run[spec.name]) for spec in PHASES],
    )  # fmt: skip
    reports = WorkReports()
    pool = Pool(
        source=feed, orchestrator=orchestrator, inbox=inbox, budget=budget, ledger=ledger, clock=clock,
        reports=reports, workers=workers, beat_s=60,
    )  # fmt: skip
    running = asyncio.create_task(pool.run())
    try:
        yield Floor(pool, feed, orchestrator, inbox, budget, refused, memory, ledger, reports)
    finally:
        pool.stop()
        pool.cancel_all("the test ended")
        await running
