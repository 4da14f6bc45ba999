"""A real :class:`~daemon.control.table.ControlApi` that answers from values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from pydantic import BaseModel

from daemon.control.intake_messages import (
    PostureView,
    SensorsView,
    SensorView,
    SignalsView,
    SignalView,
)
from daemon.control.messages import (
    Ack,
    Answered,
    ConversationTurn,
    ConversationView,
    CostLine,
    CostView,
    DayView,
    DiffView,
    Event,
    EventsRequest,
    Fixing,
    HealthView,
    KernelView,
    Life,
    LogRequest,
    LogView,
    OpRef,
    OpsView,
    OpView,
    Reply,
    SandboxView,
    SayRequest,
    StatusView,
    Submitted,
    Utterance,
)
from daemon.control.method import Method
from daemon.control.table import ControlApi
from governance.grounding.calibration import Calibration
from ledger.errors import ControlError, PolicyRefused
from ledger.events.event import CLASSES
from ledger.ids import short_id
from ledger.vocabulary import Entry, EntryKind, Phase, Route, Source, Spend, Tier
from sensors.intake.posture import Posture

OP = "op-01890a5d7f3a7c2e9b8d6f4e2a1c7f3a-test_failure"
DIFF = """diff --git a/shop/cart.py b/shop/cart.py
index 111..222 100644
--- a/shop/cart.py
+++ b/shop/cart.py
@@ -40,3 +40,3 @@ def total():
     discount = 1
-    return subtotal + discount
+    return subtotal - discount
"""


def op_view(**changes: object) -> OpView:
    values: dict[str, object] = {
        "id": OP,
        "short": short_id(OP),
        "origin": Source("test_failure"),
        "goal": "Make test_total pass.",
        "state": Phase.GENERATE,
        "tier": Tier.SAFE_AUTO,
        "route": Route.IMMEDIATE,
        "tests": ("tests/test_cart.py::test_total",),
        "signals": ("sig-1",),
        "spend": Spend(usd_micro=1200, calls=2, working_ms=14_600),
        **changes,
    }
    return OpView.model_validate(values)


def entry(seq: int, event: str, *, op: str | None = OP, kind: EntryKind | None = None, **payload: object) -> Entry:
    """An entry. ``kind`` None: that of the event's class, if there is one."""
    kind = kind or next((known for known, name in CLASSES if name == event), EntryKind.DECISION)
    return Entry(
        seq=seq,
        at="2026-01-02T03:04:05.678Z",
        prev="0" * 64,
        hash="1" * 64,
        kind=kind,
        op_id=op,
        phase=Phase.GENERATE,
        payload={"event": event, **payload},
    )


def status_view(**changes: object) -> StatusView:
    values: dict[str, object] = {
        "state": Life.ACTIVE,
        "version": "0.1.0",
        "repo": "/home/me/shop",
        "branch": "main",
        "kernel": KernelView(provider="local", model="small-model", ready=True),
        "sandbox": SandboxView(name="bwrap", held=("network",)),
        "files_watched": 214,
        **changes,
    }
    return StatusView.model_validate(values)


def signal_view(**changes: object) -> SignalView:
    values: dict[str, object] = {
        "id": "sig-01890a5d7f3a7c2e9b8d6f4e2a1c7f3b",
        "short": "sig-1c7f3b",
        "state": "queued",
        "source": "test_failure",
        "urgency": "high",
        "goal": "Make test_total pass.",
        "priority": 0,
        "attempts": 1,
        "queued_at": "2026-01-02T03:04:05.678Z",
        **changes,
    }
    return SignalView.model_validate(values)


class ScriptedApi(ControlApi):
    """Notes what it was asked and answers from values; ``gate`` holds ``health`` back until it is set."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []
        self.gate = asyncio.Event()
        self.holding = asyncio.Event()
        self.published: asyncio.Queue[Event | None] = asyncio.Queue()
        self.ops_now: tuple[OpView, ...] = (op_view(),)
        self.calibrated = Calibration()
        self.subscribed = asyncio.Event()
        self.unsubscribed = asyncio.Event()
        self.stance = PostureView(posture=Posture.HARDEN, by="owner", until="2026-01-02T05:00:00.000Z", why="release")
        self.signals_now = (signal_view(waits="held back: 20 of 20 ops (governor.source)"),)
        self.fixing = Fixing(signals=("sig-1",), message="1 red test")

    def _note(self, name: str, request: object = None) -> None:
        self.asked.append((name, request))

    async def _carry_out(self, method: Method, *request: BaseModel) -> Any:
        """A value by the method's name, else an acknowledgement, else the result type's defaults."""
        self._note(method.name, *request)
        if method.name in ANSWERS:
            return ANSWERS[method.name](self)
        if method.result is Ack:
            return Ack(message=ACKNOWLEDGED.get(method.name, f"{method.name}: done"), op=OP)
        return method.result()

    async def show(self, request: OpRef) -> OpView:
        self._note("show", request)
        for op in self.ops_now:
            if op.id == request.op or op.short.endswith(request.op):
                return op
        raise ControlError(f"No op matches {request.op!r}.", remedy="`ouro ops --all` lists them.")

    async def approve(self, request: OpRef) -> Ack:
        self._note("approve", request)
        raise PolicyRefused("Only the owner may.", rule="gate0.owner", remedy="Ask the owner.")

    async def hear(self, request: Utterance) -> Answered:
        self._note("hear", request)
        if "approve" in request.text:
            return Answered(outcome="refused", message="Not by voice.", rule="voice.approval")
        return Answered(outcome="done", message=f"heard: {request.text}")

    async def say(self, request: SayRequest) -> Reply:
        self._note("say", request)
        return Reply(message=f"Noted: {request.text}")

    async def cancel(self, request: OpRef) -> Ack:
        raise RuntimeError("secret detail")

    async def health(self) -> HealthView:
        self._note("health")
        self.holding.set()
        await self.gate.wait()
        return HealthView(ok=True, state=Life.ACTIVE)

    async def log(self, request: LogRequest) -> LogView:
        self._note("log", request)
        return LogView(entries=(entry(1, "x" * 1000),) * request.limit, head=1)

    async def events(self, request: EventsRequest) -> AsyncIterator[Event]:
        self._note("events", request)
        self.subscribed.set()
        try:
            while (event := await self.published.get()) is not None:
                yield event
        finally:
            self.unsubscribed.set()


SENSOR = SensorView(
    source="test_failure",
    routed_as="reflex",
    line="3 queued",
    last_signal="2026-01-02T03:04:05.678Z",
    ops_hour=20,
    cap_hour=20,
    suppressed="20 of 20 ops (governor.source)",
)
COST = CostLine(provider="local", model="small-model", spend=Spend(calls=3, tokens_in=10, tokens_out=5))
TODAY = DayView(ops=1, completed=1, ceiling_usd_micro=2_000_000)
TURNS = (ConversationTurn(who="owner", text="It is slow"), ConversationTurn(who="ouroboros", text="Noted."))
ACKNOWLEDGED = {
    "reject": "rejected",
    "answer": "answered",
    "undo": "undone",
    "pause": "paused",
    "resume": "resumed",
    "retry": "queued again",
    "drop": "dropped",
    "reload": "reloaded",
    "shutdown": "stopping",
}
ANSWERS: Mapping[str, Callable[[ScriptedApi], BaseModel]] = {
    "status": lambda api: status_view(active=api.ops_now),
    "ops": lambda api: OpsView(ops=api.ops_now),
    "diff": lambda api: DiffView(op=OP, diff=DIFF),
    "submit": lambda api: Submitted(signal="sig-1", status="queued", message="queued as sig-1"),
    "fix": lambda api: api.fixing,
    "conversation": lambda api: ConversationView(said=TURNS),
    "signals": lambda api: SignalsView(counts={"queued": 1, "dead": 1}, signals=api.signals_now),
    "sensors": lambda api: SensorsView(posture=api.stance, sensors=(SENSOR,)),
    "posture": lambda api: api.stance,
    "cost": lambda api: CostView(today=TODAY, lines=(COST,), ops=api.ops_now),
    "calibration": lambda api: api.calibrated,
}
