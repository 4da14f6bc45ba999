"""What the control socket can ask of the service: the Api, answered from the op table and the parts of the house."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from contextlib import aclosing
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.answers import Answers, slim
from daemon.api import (
    Ack,
    AnswerRequest,
    CostView,
    DiffView,
    Event,
    EventsRequest,
    Fixing,
    FixRequest,
    HealthView,
    KernelView,
    LogRequest,
    LogView,
    McpView,
    OpRef,
    OpsRequest,
    OpsView,
    OpView,
    RejectRequest,
    SandboxView,
    StatusView,
    SubmitRequest,
    Submitted,
    SuiteView,
)
from daemon.api_intake import (
    DropRequest,
    PostureRequest,
    PostureView,
    SensorsView,
    SignalRef,
    SignalsRequest,
    SignalsView,
)
from daemon.api_people import Answered, ConversationView, Reply, SayRequest, Utterance
from daemon.desk import find_signal, posture_view, queue_view, sensors_view, signals_view
from daemon.hearing import Hearing
from daemon.machine import machine_view
from daemon.mcp import mcp_view
from daemon.optable import COLLAPSES, REGROUNDINGS
from daemon.told import at_it_already, cannot_talk, not_looked_at
from governance.changes.landing import refuse_foreign_state
from governance.grounding.calibration import Calibration
from governance.record import Recorder
from ledger.clock import stamp
from ledger.errors import ControlError, TestsUnavailable
from ledger.vocabulary import EntryKind
from sensors.requests.manual import OWNER, manual_signal

if TYPE_CHECKING:
    from daemon.history import History
    from daemon.house import House
    from daemon.senses import Senses
    from daemon.service import Service
    from governance.pool import Pool

NOT_YET = "The daemon is still starting."


class Facade:
    """Implements :class:`daemon.api.Api` for one service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def _house(self) -> House:
        if self._service.house is None:
            raise ControlError(NOT_YET, remedy="Ask again in a second.")
        return self._service.house

    @property
    def _pool(self) -> Pool:
        if self._house.pool is None:
            raise ControlError(NOT_YET, remedy="Ask again in a second.")
        return self._house.pool

    @property
    def _history(self) -> History:
        if self._service.history is None:
            raise ControlError(NOT_YET, remedy="Ask again in a second.")
        return self._service.history

    @property
    def _senses(self) -> Senses:
        if self._service.senses is None:
            raise ControlError(NOT_YET, remedy="Ask again in a second.")
        return self._service.senses

    @property
    def _answers(self) -> Answers:
        house, service = self._house, self._service
        return Answers(
            ledger=house.ledger, git=house.git, table=service.table, history=self._history, clock=service.clock,
            budget=house.budget, models={house.provider.name: house.provider.model},
        )  # fmt: skip

    async def _heard(self, what: str, *, op: str | None = None, **facts: str | None) -> None:
        """What a person asked for stands in the ledger before it is done."""
        record = Recorder(self._house.ledger, op_id=op)
        await record.note(EntryKind.CONTROL, f"control.{what}", asked=facts)

    # --- questions ---

    async def status(self) -> StatusView:
        service, house = self._service, self._house
        await service.look_again(probe=False)
        head = await house.repository.head()
        health = await house.provider.health()
        reasons = service.reasons + (("the ledger is read-only",) if house.ledger.read_only else ())
        live = service.table.newest(ended=False)
        return StatusView(
            state=service.life,
            reasons=reasons,
            version=version("ouroboros"),
            session=service.boot,
            pid=os.getpid(),
            started_at=stamp(service.started_at),
            at=stamp(service.clock.now()),
            repo=str(house.config.places.repo),
            branch=head.branch,
            commit=head.commit,
            kernel=KernelView(
                provider=house.provider.name, model=house.provider.model, ready=health.ready, detail=health.detail
            ),
            sandbox=self._sandbox(),
            mcp=self._servers(),
            queue=queue_view(house.router),
            posture=posture_view(house.router.governor),
            suite=await service.senses.suite(head.commit) if service.senses else SuiteView(),
            today=self._answers.today(),
            files_watched=len(await house.repository.files(head.commit)) if head.commit else 0,
            active=tuple(slim(v) for v in live if not (v.waiting or v.question)),
            waiting=tuple(slim(v) for v in live if v.waiting or v.question),
            notes=await self._notes(),
        )

    async def _notes(self) -> tuple[str, ...]:
        senses, line = self._service.senses, self._house.health.line
        return (*((line,) if line else ()), *await self._branch_notes(), *(senses.notes() if senses else ()))

    async def _branch_notes(self) -> tuple[str, ...]:
        """Review branches that wait for the owner."""
        return tuple([waiting.note for waiting in await self._house.refused.waiting()])

    def _sandbox(self) -> SandboxView:
        choice = self._house.choice
        if choice is None or choice.sandbox is None:
            return SandboxView(name="none", remedy=choice.remedy if choice else "")
        sandbox = choice.sandbox
        return SandboxView(
            name=sandbox.name,
            held=tuple(sorted(w.value for w in sandbox.walls)),
            missing=tuple(sorted(w.value for w in sandbox.missing)),
            unsandboxed=sandbox.name == "none",
            remedy=choice.remedy,
        )

    def _servers(self) -> tuple[McpView, ...]:
        servers = self._house.servers
        return tuple(mcp_view(one) for one in servers.views()) if servers is not None else ()

    async def ops(self, request: OpsRequest) -> OpsView:
        return await self._answers.ops(request)

    async def show(self, request: OpRef) -> OpView:
        return await self._answers.show(request)

    async def diff(self, request: OpRef) -> DiffView:
        return await self._answers.diff(request)

    async def cost(self) -> CostView:
        return await self._answers.cost()

    async def calibration(self) -> Calibration:
        return await self._answers.calibration()

    async def health(self) -> HealthView:
        service = self._service
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
            ledger_seq=self._house.ledger.head.seq,
            collapses=service.table.counted[COLLAPSES],
            regroundings=service.table.counted[REGROUNDINGS],
            machine=machine_view(self._house.health.seen),
        )

    async def log(self, request: LogRequest) -> LogView:
        ledger = self._house.ledger
        op = (await self._history.resolve(request.op)).id if request.op else None
        newest = request.after is None
        entries = await ledger.entries(op_id=op, after=request.after or 0, limit=request.limit, newest_first=newest)
        return LogView(entries=tuple(reversed(entries) if newest else entries), head=ledger.head.seq)

    async def events(self, request: EventsRequest) -> AsyncIterator[Event]:
        ledger = self._house.ledger
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

    async def signals(self, request: SignalsRequest) -> SignalsView:
        return signals_view(self._house.router.snapshot(lines=request.limit))

    async def sensors(self) -> SensorsView:
        senses = self._service.senses
        if senses is None:
            return await sensors_view(self._house.router, {})
        return await sensors_view(self._house.router, senses.says(), senses.webhooks, senses.events)

    # --- orders ---

    async def retry(self, request: SignalRef) -> Ack:
        router = self._house.router
        signal = find_signal(request.signal, router.known())
        await self._heard("retry", signal=signal)
        await router.release(signal)
        return Ack(message=f"{signal} is queued again.")

    async def drop(self, request: DropRequest) -> Ack:
        router = self._house.router
        signal = find_signal(request.signal, router.known())
        await self._heard("drop", signal=signal, why=request.why)
        await router.drop(signal, f"dropped by the owner: {request.why}")
        return Ack(message=f"{signal} is dropped.")

    async def posture(self, request: PostureRequest) -> PostureView:
        governor = self._house.router.governor
        if request.action == "set":
            if request.name is None or not request.why:
                raise ControlError("A posture is set with its name and a reason.", remedy="`ouro posture set --help`.")
            await self._heard("posture", name=request.name.value, hours=f"{request.hours:g}", why=request.why)
            await governor.set_posture(request.name, hours=request.hours, why=request.why)
        elif request.action == "clear":
            await self._heard("posture", name=None)
            await governor.clear_posture()
        await governor.look()
        self._house.router.look_anew()
        return posture_view(governor)

    async def submit(self, request: SubmitRequest) -> Submitted:
        house = self._house
        head = await house.repository.head()
        if head.commit is None:
            raise ControlError("The repository has no commit yet.", remedy="Commit something first.")
        if not set(request.closed_when) - {OWNER} and cannot_talk(house.provider.capabilities):
            raise ControlError(
                f"The kernel {house.provider.model} fills in code where a test fails; it takes no goal in words.",
                remedy='Name a failing test with --closed-when, or set kernel.provider = "openai" for such goals.',
            )
        signal = manual_signal(
            request.goal,
            files=request.files,
            closed_when=request.closed_when,
            base=head.commit,
            clock=self._service.clock,
        )
        await self._heard("submit", goal=request.goal)
        receipt = await house.router.submit(signal)
        return Submitted(signal=signal.id, status=receipt.status, message=receipt.reason)

    async def fix(self, request: FixRequest) -> Fixing:
        senses = self._service.senses
        if senses is None:
            raise ControlError(NOT_YET, remedy="Ask again in a second.")
        from daemon.senses import NAMED

        await self._heard("fix", node=request.node_id)
        await self._service.look_again(probe=True)
        try:
            found = await senses.scan(request.node_id, asked=request.asked)
        except TestsUnavailable as error:
            if request.node_id and error.remedy == NAMED and await self._is_missing(request.node_id):
                raise ControlError(error.message, remedy=error.remedy) from error  # a slip, nothing is missing here
            raise
        if found.signals:
            live = [v.short for v in self._service.table.newest(ended=False) if set(v.signals) & set(found.signals)]
            return found.model_copy(update={"message": at_it_already(found.message, live)})
        dirty = [each.path for each in await self._house.repository.dirty()]
        left_out = not_looked_at(dirty, eager=senses.reads_uncommitted)
        return found.model_copy(update={"message": f"{found.message} {left_out}".strip()})

    async def _is_missing(self, node_id: str) -> bool:
        """True when the file of a test is not in HEAD, or its name not in the file."""
        path, _, name = node_id.partition("::")
        head = (await self._house.repository.head()).commit
        text = await self._house.repository.read(head, path) if head else None
        return text is None or name.rpartition("::")[2].partition("[")[0].encode() not in text

    async def approve(self, request: OpRef) -> Ack:
        view = await self._history.resolve(request.op)
        self._turn_away(view)
        await self._house.inbox.refuse_changed(view.id)
        await asyncio.to_thread(
            refuse_foreign_state, self._house.git
        )  # the op would end in APPLY, and its work be lost
        await self._heard("approve", op=view.id)
        late = view.has_expired(stamp(self._service.clock.now()))  # a machine that slept, or whose clock was set
        await self._pool.decide(view.id, "approved", by="owner")
        if late:  # gate 8 says so in the record, and makes no approval of it
            raise ControlError(
                f"{view.short} waited until its time ran out, and is rejected.",
                remedy="`ouro fix` takes up what is still red.",
            )
        return Ack(message=f"{view.short} is approved and goes on.", op=view.id)

    async def reject(self, request: RejectRequest) -> Ack:
        view = await self._history.resolve(request.op)
        self._turn_away(view)
        await self._heard("reject", op=view.id, reason=request.reason)
        await self._pool.decide(view.id, "rejected", by="owner", reason=request.reason or "rejected by the owner")
        return Ack(message=f"{view.short} is rejected; this diff will not be offered again.", op=view.id)

    def _turn_away(self, view: OpView) -> None:
        """A process that was started for one op ends with it, and would take another one down."""
        if self._service.only not in ("", view.id):
            raise ControlError(
                f"Another answer is being carried out, for {self._service.only}; no daemon runs beside it.",
                remedy="Ask again when that is done.",
            )

    async def hear(self, request: Utterance) -> Answered:
        return await Hearing(api=self, voice=self._senses.speech, note=self._heard).hear(request)

    async def say(self, request: SayRequest) -> Reply:
        return await self._senses.free_text.hear(request.text)

    async def conversation(self) -> ConversationView:
        return ConversationView(said=await self._senses.free_text.conversation())

    async def answer(self, request: AnswerRequest) -> Ack:
        wish = await self._senses.answer_wish(request.op, request.text)
        if wish is not None:
            return Ack(message=wish.message)
        questions = self._house.questions
        asked = questions.find(request.op)
        view = await self._history.resolve(asked.op_id if asked else request.op)
        await self._heard("answer", op=view.id)
        await questions.answer(asked.id if asked else view.id, request.text, by="owner")
        return Ack(message=f"{view.short} has your answer and goes on.", op=view.id)

    async def cancel(self, request: OpRef) -> Ack:
        view = await self._history.resolve(request.op)
        await self._heard("cancel", op=view.id)
        await self._pool.cancel(view.id, "cancelled by the owner")
        return Ack(message=f"{view.short} is being cancelled.", op=view.id)

    async def undo(self, request: OpRef) -> Ack:
        view = await self._history.resolve(request.op)
        if self._house.changes is None:
            raise ControlError(NOT_YET, remedy="Ask again in a second.")
        from daemon.undo import undo_op

        await self._heard("undo", op=view.id)
        committed = await undo_op(self._house.ledger, self._house.changes, view)
        return Ack(message=f"{view.short} is undone by {committed.commit[:10]}.", op=view.id)

    async def pause(self) -> Ack:
        await self._heard("pause")
        self._house.router.pause()
        return Ack(message="Paused: signals are taken in, no new op begins.")

    async def resume(self) -> Ack:
        await self._heard("resume")
        self._house.router.resume()
        return Ack(message="Resumed.")

    async def reload(self) -> Ack:
        from daemon.service import vet

        if not self._service.lasts:
            raise ControlError(
                "No daemon runs here: this process does one thing, ends, and restarts nothing.",
                remedy="Start one with `ouro run`; every start reads the settings anew.",
            )
        await asyncio.to_thread(vet, self._service.config)
        await self._heard("reload")
        self._service.restart = True
        self._service.stopping.set()
        return Ack(message="The settings are fine; the daemon restarts with them.")

    async def shutdown(self) -> Ack:
        await self._heard("shutdown")
        self._service.stopping.set()
        return Ack(message="The daemon is stopping.")
