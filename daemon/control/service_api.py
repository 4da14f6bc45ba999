"""The control API inside the daemon: bodies of methods run here, on the parts of the service."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from contextlib import aclosing
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from daemon.adapters.machine import machine_view
from daemon.control.intake_views import find_signal, posture_view, queue_view
from daemon.control.messages import (
    Ack,
    ApproveRequest,
    Event,
    EventsRequest,
    Fixing,
    FixRequest,
    HealthView,
    KernelView,
    OpRef,
    OpView,
    SandboxView,
    StatusView,
    SubmitRequest,
    Submitted,
    SuiteView,
)
from daemon.control.method import Method
from daemon.control.record_answers import RecordAnswers, slim
from daemon.control.table import ControlApi
from daemon.record.optable import COLLAPSES, REGROUNDINGS
from daemon.views.mcp import mcp_view
from daemon.views.scan_messages import duplicate_notice, uncommitted_notice
from governance.changes.landing import refuse_foreign_state
from governance.record import Recorder
from ledger.clock import stamp
from ledger.errors import ControlError, TestNotFound
from ledger.events.session import ControlRequested
from sensors.requests.manual import OWNER, manual_signal

if TYPE_CHECKING:
    from daemon.adapters.sensor_manager import SensorManager
    from daemon.app.core import Core
    from daemon.app.runtime import Runtime
    from daemon.lifecycle.service import Service
    from daemon.record.history import History
    from sensors.intake.records import QueueSnapshot
    from tools.sandbox.types import Choice


class ServiceApi(ControlApi):
    """The API of one service. A part that is not there yet raises ``ControlError``."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def _carry_out(self, method: Method, *request: BaseModel) -> Any:
        return await method.carry_out(self, self.record if method.from_record else self, *request)

    # --- parts, for the bodies of methods ---

    @property
    def core(self) -> Core:
        return self.service.core

    @property
    def runtime(self) -> Runtime:
        return self.service.runtime

    @property
    def history(self) -> History:
        return self.core.history

    @property
    def sensor_manager(self) -> SensorManager:
        return self.service.sensors

    @property
    def record(self) -> RecordAnswers:
        core, service = self.core, self.service
        return RecordAnswers(
            ledger=core.ledger,
            git=core.git,
            table=core.table,
            history=self.history,
            clock=service.clock,
            budget=core.budget,
            models={core.provider.name: core.provider.model},
            snapshot=self._snapshot,
        )

    async def _snapshot(self, lines: int) -> QueueSnapshot:
        return self.core.router.snapshot(lines=lines)

    async def note(self, what: str, *, op: str | None = None, **facts: str | None) -> None:
        """Put an order into the ledger, before it is carried out."""
        record = Recorder(self.core.ledger, op_id=op)
        await record.note(ControlRequested(verb=what, asked=facts))

    def find_signal(self, reference: str) -> str:
        """The id of a signal that the router knows. Raises ``ControlError``."""
        return find_signal(reference, self.core.router.known())

    # --- what takes more than a few lines ---

    async def events(self, request: EventsRequest) -> AsyncIterator[Event]:
        ledger = self.core.ledger
        cursor = request.after if request.after is not None else ledger.head.seq
        async with ledger.subscribe() as live:
            async with aclosing(ledger.slices(after=cursor)) as slices:
                async for past in slices:
                    for entry in past:
                        cursor = entry.seq
                        yield Event(cursor=entry.seq, entry=entry, op=entry.op_id)
            async for entry in live:
                if entry.seq > cursor:
                    cursor = entry.seq
                    yield Event(cursor=entry.seq, entry=entry, op=entry.op_id, missed=live.missed)

    async def describe(self) -> StatusView:
        """The answer of `ouro status`."""
        service, core = self.service, self.core
        await service.look_again(probe=False)
        head = await core.repository.head()
        health = await core.provider.health()
        reasons = service.reasons + (("the ledger is read-only",) if core.ledger.read_only else ())
        live = core.table.newest(ended=False)
        sensors = service.sensors if service.has_sensors else None
        runtime = service.runtime if service.has_runtime else None
        return StatusView(
            state=service.life,
            reasons=reasons,
            version=version("ouroboros"),
            session=service.boot,
            pid=os.getpid(),
            started_at=stamp(service.started_at),
            at=stamp(service.clock.now()),
            repo=str(core.config.places.repo),
            branch=head.branch,
            commit=head.commit,
            kernel=KernelView(
                provider=core.provider.name, model=core.provider.model, ready=health.ready, detail=health.detail
            ),
            sandbox=sandbox_view(runtime.tests.choice) if runtime else SandboxView(name="none"),
            mcp=tuple(mcp_view(one) for one in runtime.servers.views()) if runtime else (),
            queue=queue_view(core.router),
            posture=posture_view(core.router.governor),
            suite=await sensors.suite(head.commit) if sensors else SuiteView(),
            today=self.record.today(),
            files_watched=len(await core.repository.files(head.commit)) if head.commit else 0,
            active=tuple(slim(v) for v in live if not (v.waiting or v.question)),
            waiting=tuple(slim(v) for v in live if v.waiting or v.question),
            notes=(
                *((core.health.line,) if core.health.line else ()),
                *[waiting.note for waiting in await core.refused.waiting()],  # review branches
                *(sensors.notes() if sensors else ()),
            ),
        )

    def describe_health(self) -> HealthView:
        """The answer of `ouro status --health`."""
        service, table = self.service, self.core.table
        return HealthView(
            ok=service.life.value in ("ACTIVE", "DEGRADED"),
            state=service.life,
            reasons=service.reasons,
            uptime_s=round((service.clock.now() - service.started_at).total_seconds()),
            resident_kb=int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024,
            resident_peak_kb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            loop_lag_ms=service.lag.p99_ms(),
            open_files=sum(1 for _ in Path("/proc/self/fd").iterdir()),
            tasks=len(asyncio.all_tasks()),
            ledger_seq=self.core.ledger.head.seq,
            collapses=table.counted[COLLAPSES],
            regroundings=table.counted[REGROUNDINGS],
            machine=machine_view(self.core.health.seen),
        )

    async def take_goal(self, request: SubmitRequest) -> Submitted:
        """Hand a goal of the owner to the router."""
        core = self.core
        head = await core.repository.head()
        if head.commit is None:
            raise ControlError("The repository has no commit yet.", remedy="Commit something first.")
        if not set(request.closed_when) - {OWNER} and core.provider.capabilities.only_fills:
            raise ControlError(
                f"The kernel {core.provider.model} fills in code where a test fails; it takes no goal in words.",
                remedy='Name a failing test with --closed-when, or set kernel.provider = "openai" for such goals.',
            )
        signal = manual_signal(
            request.goal,
            files=request.files,
            closed_when=request.closed_when,
            base=head.commit,
            clock=self.service.clock,
        )
        await self.note("submit", goal=request.goal)
        receipt = await core.router.submit(signal)
        return Submitted(signal=signal.id, status=receipt.status, message=receipt.reason)

    async def scan(self, request: FixRequest) -> Fixing:
        """Run the owner's tests, or one of them; failing ones become signals."""
        sensor_manager = self.sensor_manager
        await self.note("fix", node=request.node_id)
        await self.service.look_again(probe=True)
        try:
            found = await sensor_manager.scan(request.node_id, asked=request.asked)
        except TestNotFound as error:
            if request.node_id and await self._is_missing(request.node_id):
                raise ControlError(error.message, remedy=error.remedy) from error  # a slip, nothing is missing here
            raise
        if found.signals:
            live = [v.short for v in self.core.table.newest(ended=False) if set(v.signals) & set(found.signals)]
            known = duplicate_notice(live) if found.known else ""
            return found.model_copy(update={"message": f"{found.message} {known}".strip()})
        dirty = [each.path for each in await self.core.repository.dirty()]
        left_out = uncommitted_notice(dirty, eager=sensor_manager.reads_uncommitted)
        return found.model_copy(update={"message": f"{found.message} {left_out}".strip()})

    async def _is_missing(self, node_id: str) -> bool:
        """True when the file of a test is not in HEAD, or its name not in the file."""
        path, _, name = node_id.partition("::")
        head = (await self.core.repository.head()).commit
        text = await self.core.repository.read(head, path) if head else None
        return text is None or name.rpartition("::")[2].partition("[")[0].encode() not in text

    async def approve_op(self, request: OpRef) -> Ack:
        """Let a waiting change through. Raises ``ControlError`` where its time is over (it is rejected then), and where
        the yes does not name the change that waits and may be meant for one before it.
        """
        named = request.diff if isinstance(request, ApproveRequest) else ""
        view = await self.find_decidable(request.op)
        _refuse_other(view, named)
        await self.core.inbox.check_unchanged(view.id)
        # During a merge or the like the op would end in APPLY, and its work be lost.
        await asyncio.to_thread(refuse_foreign_state, self.core.git)
        await self.note("approve", op=view.id)
        _refuse_other(await self.find_decidable(request.op), named or view.change)
        late = view.has_expired(stamp(self.service.clock.now()))  # a machine that slept, or whose clock was set
        await self.runtime.pool.decide(view.id, "approved", by="owner")
        if late:  # gate 8 says so in the record, and makes no approval of it
            raise ControlError(
                f"{view.short} waited until its time ran out, and is rejected.",
                remedy="`ouro fix` takes up what is still red.",
            )
        return Ack(message=f"{view.short} is approved and goes on.", op=view.id)

    async def find_decidable(self, reference: str) -> OpView:
        """The op that ``reference`` names. A process that was started to decide one op refuses any other."""
        view = await self.history.resolve(reference)
        if self.service.only not in ("", view.id):
            raise ControlError(
                f"Another answer is being carried out, for {self.service.only}; no daemon runs beside it.",
                remedy="Ask again when that is done.",
            )
        return view


def _refuse_other(view: OpView, named: str) -> None:
    """Raise ``ControlError`` where a yes does not name the change that waits, and the op has asked for another one."""
    if not view.waiting or (view.change.startswith(named) if named else view.asked < 2):
        return
    raise ControlError(
        f"{view.short} waits with {'another change' if named else 'a second change, which a yes has to name'}.",
        remedy=f"`ouro diff {view.short}` shows it, and `{view.approval}` lets it through.",
    )


def sandbox_view(choice: Choice) -> SandboxView:
    """Pure: the walls that hold and those that are missing."""
    sandbox = choice.sandbox
    if sandbox is None:
        return SandboxView(name="none", remedy=choice.remedy)
    return SandboxView(
        name=sandbox.name,
        held=tuple(sorted(w.value for w in sandbox.walls)),
        missing=tuple(sorted(w.value for w in sandbox.missing)),
        unsandboxed=sandbox.name == "none",
        remedy=choice.remedy,
    )
