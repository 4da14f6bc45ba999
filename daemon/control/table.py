"""The control API, declared once: server, client, answers without a daemon and REPL commands are derived from this.

``docs/extending.md`` shows how a method is added. The body of a method runs in the daemon, or on the record where that
is enough; a client runs none of them. Modules that only bodies need are imported inside them: commands start fast.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from daemon.control.intake_messages import (
    DropRequest,
    PostureRequest,
    PostureView,
    SensorsView,
    SignalRef,
    SignalsRequest,
    SignalsView,
)
from daemon.control.messages import (
    Ack,
    Answered,
    AnswerRequest,
    ApproveRequest,
    ConversationView,
    CostView,
    DiffView,
    Event,
    EventsRequest,
    Fixing,
    FixRequest,
    HealthView,
    LogRequest,
    LogView,
    OpRef,
    OpsRequest,
    OpsView,
    OpView,
    RejectRequest,
    Reply,
    SayRequest,
    StatusView,
    SubmitRequest,
    Submitted,
    Utterance,
)
from daemon.control.method import Effect, Method, methods_of, needs_daemon, needs_record
from daemon.control.wire import SUBSCRIBE, UNSUBSCRIBE
from governance.grounding.calibration import Calibration
from ledger.errors import ControlError

if TYPE_CHECKING:
    from daemon.control.record_answers import RecordAnswers
    from daemon.control.service_api import ServiceApi


class ControlApi(ABC):
    """Every method of the control socket. Each raises ``OuroError`` when it refuses.

    A subclass decides where methods are carried out; it may override single ones.
    """

    @abstractmethod
    async def _carry_out(self, method: Method, *request: BaseModel) -> Any:
        """The result of one method."""

    @abstractmethod
    def events(self, request: EventsRequest) -> AsyncIterator[Event]:
        """Endless; closing the iterator ends the subscription."""

    # --- questions ---

    @needs_daemon(Effect.TELLS, usage="/status")
    async def status(self, daemon: ServiceApi) -> StatusView:
        """What runs, what waits, what is red."""
        return await daemon.describe()

    @needs_record(Effect.REVEALS, usage="/ops [all]")
    async def ops(self, record: RecordAnswers, request: OpsRequest) -> OpsView:
        """Operations, also ended ones."""
        return await record.ops(request)

    @needs_record(Effect.REVEALS, usage="/show OP")
    async def show(self, record: RecordAnswers, request: OpRef) -> OpView:
        """Everything about one op."""
        return await record.show(request)

    @needs_record(Effect.REVEALS, usage="/diff OP")
    async def diff(self, record: RecordAnswers, request: OpRef) -> DiffView:
        """The change of an op."""
        view = await record.show(request)
        return DiffView(op=view.id, diff=view.diff, commit=view.commit)

    @needs_record(Effect.REVEALS)
    async def log(self, record: RecordAnswers, request: LogRequest) -> LogView:
        """Entries of the record."""
        return await record.log(request)

    @needs_record(Effect.REVEALS, usage="/signals")
    async def signals(self, record: RecordAnswers, request: SignalsRequest) -> SignalsView:
        """The queue: what waits and why."""
        return await record.signals(request)

    @needs_daemon(Effect.REVEALS, usage="/sensors")
    async def sensors(self, daemon: ServiceApi) -> SensorsView:
        """Every source: its signals, its cap."""
        from daemon.control.intake_views import sensors_view

        router = daemon.core.router
        if not daemon.service.has_sensors:
            return await sensors_view(router, {})
        sensor_manager = daemon.sensor_manager
        return await sensors_view(router, sensor_manager.status_lines(), sensor_manager.webhooks, sensor_manager.events)

    @needs_record(Effect.REVEALS, usage="/cost")
    async def cost(self, record: RecordAnswers) -> CostView:
        """What today has cost."""
        return await record.cost()

    @needs_record(Effect.REVEALS, usage="/calibration")
    async def calibration(self, record: RecordAnswers) -> Calibration:
        """How often claims of the daemon came true."""
        return await record.calibration()

    @needs_daemon(Effect.TELLS, usage="/health")
    async def health(self, daemon: ServiceApi) -> HealthView:
        """How the daemon itself is."""
        return daemon.describe_health()

    @needs_daemon(Effect.REVEALS, usage="/said")
    async def conversation(self, daemon: ServiceApi) -> ConversationView:
        """The last turns of the conversation."""
        return ConversationView(said=await daemon.sensor_manager.free_text.conversation())

    # --- orders: each is noted in the ledger before it is carried out ---

    @needs_daemon(Effect.CHANGES, usage="/submit GOAL")
    async def submit(self, daemon: ServiceApi, request: SubmitRequest) -> Submitted:
        """Hand in work of your own."""
        return await daemon.take_goal(request)

    @needs_daemon(Effect.CHANGES, limited=False)  # it runs the owner's tests, as long as they take
    async def fix(self, daemon: ServiceApi, request: FixRequest) -> Fixing:
        """Scan for failing tests now."""
        return await daemon.scan(request)

    @needs_daemon(Effect.CHANGES, usage="/approve OP [DIFF]")
    async def approve(self, daemon: ServiceApi, request: ApproveRequest) -> Ack:
        """Let a waiting change through."""
        return await daemon.approve_op(request)

    @needs_daemon(Effect.CHANGES, usage="/reject OP [REASON]")
    async def reject(self, daemon: ServiceApi, request: RejectRequest) -> Ack:
        """Refuse a waiting change."""
        view = await daemon.find_decidable(request.op)
        await daemon.note("reject", op=view.id, reason=request.reason)
        await daemon.runtime.pool.decide(
            view.id, "rejected", by="owner", reason=request.reason or "rejected by the owner"
        )
        return Ack(message=f"{view.short} is rejected; this diff will not be offered again.", op=view.id)

    @needs_daemon(Effect.CHANGES, usage="/answer OP TEXT")
    async def answer(self, daemon: ServiceApi, request: AnswerRequest) -> Ack:
        """Answer a question that an op asks, or a wish."""
        wish = await daemon.sensor_manager.answer_wish(request.op, request.text)
        if wish is not None:
            return Ack(message=wish.message)
        questions = daemon.core.questions
        question = questions.find(request.op)
        view = await daemon.history.resolve(question.op_id if question else request.op)
        await daemon.note("answer", op=view.id)
        await questions.answer(question.id if question else view.id, request.text, by="owner")
        return Ack(message=f"{view.short} has your answer and goes on.", op=view.id)

    @needs_daemon(Effect.CHANGES)
    async def hear(self, daemon: ServiceApi, request: Utterance) -> Answered:
        """Carry out a spoken command. It approves nothing."""
        from daemon.control.spoken_orders import SpokenOrders

        return await SpokenOrders(api=daemon, voice=daemon.sensor_manager.speech, note=daemon.note).hear(request)

    @needs_daemon(Effect.CHANGES)
    async def say(self, daemon: ServiceApi, request: SayRequest) -> Reply:
        """Free text of the owner."""
        return await daemon.sensor_manager.free_text.hear(request.text)

    @needs_daemon(Effect.CHANGES, usage="/cancel OP")
    async def cancel(self, daemon: ServiceApi, request: OpRef) -> Ack:
        """Stop an op now."""
        view = await daemon.history.resolve(request.op)
        await daemon.note("cancel", op=view.id)
        await daemon.runtime.pool.cancel(view.id, "cancelled by the owner")
        return Ack(message=f"{view.short} is being cancelled.", op=view.id)

    @needs_daemon(Effect.CHANGES, usage="/undo OP")
    async def undo(self, daemon: ServiceApi, request: OpRef) -> Ack:
        """Revert the commit of an op."""
        from daemon.lifecycle.undo import undo_op

        view, changes = await daemon.history.resolve(request.op), daemon.runtime.changes
        await daemon.note("undo", op=view.id)
        committed = await undo_op(daemon.core.ledger, changes, view)
        return Ack(message=f"{view.short} is undone by {committed.commit[:10]}.", op=view.id)

    @needs_daemon(Effect.CHANGES)
    async def retry(self, daemon: ServiceApi, request: SignalRef) -> Ack:
        """Queue a signal again."""
        signal = daemon.find_signal(request.signal)
        await daemon.note("retry", signal=signal)
        await daemon.core.router.release(signal)
        return Ack(message=f"{signal} is queued again.")

    @needs_daemon(Effect.CHANGES)
    async def drop(self, daemon: ServiceApi, request: DropRequest) -> Ack:
        """Take a signal out of the queue for good."""
        signal = daemon.find_signal(request.signal)
        await daemon.note("drop", signal=signal, why=request.why)
        await daemon.core.router.drop(signal, f"dropped by the owner: {request.why}")
        return Ack(message=f"{signal} is dropped.")

    @needs_daemon(Effect.CHANGES, usage="/posture")
    async def posture(self, daemon: ServiceApi, request: PostureRequest) -> PostureView:
        """How much work the daemon takes on."""
        from daemon.control.intake_views import posture_view

        governor = daemon.core.router.governor
        if request.action == "set":
            if request.name is None or not request.why:
                raise ControlError("A posture is set with its name and a reason.", remedy="`ouro posture set --help`.")
            await daemon.note("posture", name=request.name.value, hours=f"{request.hours:g}", why=request.why)
            await governor.set_posture(request.name, hours=request.hours, why=request.why)
        elif request.action == "clear":
            await daemon.note("posture", name=None)
            await governor.clear_posture()
        await governor.look()
        daemon.core.router.reconsider()
        return posture_view(governor)

    @needs_daemon(Effect.CHANGES, usage="/pause")
    async def pause(self, daemon: ServiceApi) -> Ack:
        """Take no new ops."""
        await daemon.note("pause")
        daemon.core.router.pause()
        return Ack(message="Paused: signals are taken in, no new op begins.")

    @needs_daemon(Effect.CHANGES, usage="/resume")
    async def resume(self, daemon: ServiceApi) -> Ack:
        """Take ops again."""
        await daemon.note("resume")
        daemon.core.router.resume()
        return Ack(message="Resumed.")

    @needs_daemon(Effect.CHANGES, usage="/reload")
    async def reload(self, daemon: ServiceApi) -> Ack:
        """Restart with the current settings files."""
        from daemon.adapters.provider import vet

        service = daemon.service
        if not service.lasts:
            raise ControlError(
                "No daemon runs here: this process does one thing, ends, and restarts nothing.",
                remedy="Start one with `ouro run`; every start reads the settings anew.",
            )
        await asyncio.to_thread(vet, service.config)
        await daemon.note("reload")
        service.restart = True
        service.stopping.set()
        return Ack(message="The settings are fine; the daemon restarts with them.")

    @needs_daemon(Effect.CHANGES)
    async def shutdown(self, daemon: ServiceApi) -> Ack:
        """Stop the daemon."""
        await daemon.note("shutdown")
        daemon.service.stopping.set()
        return Ack(message="The daemon is stopping.")


METHODS: Mapping[str, Method] = methods_of(vars(ControlApi))

STREAMS: Mapping[str, Effect] = {SUBSCRIBE: Effect.REVEALS, UNSUBSCRIBE: Effect.TELLS}
"""Methods about a connection's own events; the connection carries them out."""


def needs_token(method: str) -> bool:
    """Whether a client needs the token for ``method``. An unknown method needs none to be refused."""
    declared = METHODS.get(method)
    effect = declared.effect if declared is not None else STREAMS.get(method, Effect.TELLS)
    return effect.needs_token
