"""Spoken orders, carried out: one utterance becomes one question or order to the daemon and one sentence.

A spoken reference may only be the end of an id, or "it" where there is just one. Nothing here approves anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from daemon.control.intake_messages import SignalRef, SignalsRequest, SignalView
from daemon.control.messages import Answered, OpRef, OpsRequest, OpView, StatusView, Utterance
from daemon.views.narrate import short_of
from daemon.views.text import count
from ledger.errors import ControlError
from sensors.requests.replies import IT, Goal, Order, OrderName
from sensors.roles import SpeechSensor

if TYPE_CHECKING:
    from daemon.control.table import ControlApi

SHOWN = 5
MAY_BE_RETRIED = frozenset({"dead", "queued"})


class Note(Protocol):
    """Puts what was asked for into the ledger."""

    async def __call__(self, what: str, **facts: str | None) -> None: ...


class SpokenOrders:
    """``note`` is called before anything is done; what is not acted on leaves no trace but a number."""

    def __init__(self, *, api: ControlApi, voice: SpeechSensor[Any], note: Note) -> None:
        self._api = api
        self._voice = voice
        self._note = note

    async def hear(self, heard: Utterance) -> Answered:
        """Carry out an utterance. Raises ``OuroError`` where an order is refused by the daemon itself."""
        meant = self._voice.judge(heard)
        if isinstance(meant, Answered):
            if meant.rule and meant.outcome == "refused":
                await self._note("hear", outcome=meant.outcome, rule=meant.rule)
            return meant
        if isinstance(meant, Goal):
            await self._note("hear", goal=meant.text, confidence=_confidence_of(heard))
            return self._voice.count(await self._voice.take(meant, heard))
        await self._note("hear", order=meant.name, target=meant.target, confidence=_confidence_of(heard))
        return self._voice.count(await _ORDERS[meant.name](self._api, meant))


def _confidence_of(heard: Utterance) -> str | None:
    return None if heard.confidence_bp is None else str(heard.confidence_bp)


def _done(message: str) -> Answered:
    return Answered(outcome="done", message=message)


async def _status(api: ControlApi, order: Order) -> Answered:
    return _done(spoken_status(await api.status()))


def spoken_status(view: StatusView) -> str:
    """Pure: a status in one breath."""
    waiting = f", {len(view.waiting)} waiting for you" if view.waiting else ""
    red = f"{count(len(view.suite.red), 'test')} red" if view.suite.red else f"tests {view.suite.status}"
    paused = ", paused" if view.queue.paused else ""
    return f"{view.state.value.capitalize()}{paused}: {count(len(view.active), 'op')} active{waiting}, {red}."


async def _ops(api: ControlApi, order: Order) -> Answered:
    ops = (await api.ops(OpsRequest())).ops
    if not ops:
        return _done("Nothing is under way.")
    more = f"; and {len(ops) - SHOWN} more" if len(ops) > SHOWN else ""
    return _done("; ".join(f"{short_of(op.id)}: {op.goal[:100]}" for op in ops[:SHOWN]) + more + ".")


async def _show(api: ControlApi, order: Order) -> Answered:
    view = await api.show(OpRef(op=await _op(api, order.target)))
    doing = "waits for you" if view.waiting or view.question else view.doing or view.reason
    return _done(f"{short_of(view.id)}, {view.state.value.lower()}: {view.goal[:200]}" + (f" {doing}" if doing else ""))


async def _cancel(api: ControlApi, order: Order) -> Answered:
    return _done((await api.cancel(OpRef(op=await _op(api, order.target)))).message)


async def _pause(api: ControlApi, order: Order) -> Answered:
    return _done((await api.pause()).message)


async def _resume(api: ControlApi, order: Order) -> Answered:
    return _done((await api.resume()).message)


async def _retry(api: ControlApi, order: Order) -> Answered:
    """Only what was given up or is held back. What is parked or in quarantine waits for a person's judgement."""
    signals = (await api.signals(SignalsRequest(limit=10_000))).signals
    signal = the_signal(signals, order.target)
    if signal.state not in MAY_BE_RETRIED:
        return Answered(
            outcome="refused",
            rule="voice.approval",
            message=f"{signal.short} is {signal.state}, which a voice does not decide: type ouro retry {signal.short}.",
        )
    return _done((await api.retry(SignalRef(signal=signal.id))).message)


async def _op(api: ControlApi, target: str) -> str:
    if target != IT:
        return target
    return the_op((await api.ops(OpsRequest())).ops).id


def the_op(ops: Sequence[OpView]) -> OpView:
    """Pure: what "it" means. Raises ``ControlError`` where that is nothing or several things."""
    if len(ops) == 1:
        return ops[0]
    told = ", ".join(short_of(op.id) for op in ops[:SHOWN])
    raise ControlError(
        f"There are {len(ops)} ops: {told}." if ops else "Nothing is under way.", remedy="Say the end of an op's id."
    )


def the_signal(signals: Sequence[SignalView], target: str) -> SignalView:
    """Pure: the one signal with this end, or the one that was given up. Raises ``ControlError`` for none or several."""
    if target == IT:
        found = [signal for signal in signals if signal.state == "dead"]
    else:
        found = [signal for signal in signals if signal.id.endswith(target)]
    if len(found) == 1:
        return found[0]
    raise ControlError(
        f"{len(found)} signals fit." if found else "No signal fits.", remedy="`ouro signals` lists them."
    )


_ORDERS: Mapping[OrderName, Callable[[ControlApi, Order], Awaitable[Answered]]] = {
    "status": _status,
    "ops": _ops,
    "show": _show,
    "cancel": _cancel,
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
}
