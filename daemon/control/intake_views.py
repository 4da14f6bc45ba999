"""Questions and orders about the intake: answered from the router, for the facade and where no daemon runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.control.intake_messages import PostureView, SensorsView, SensorView, SignalsView, SignalView
from daemon.control.messages import QueueView
from ledger.errors import ControlError
from ledger.ids import SHORT_ID_LENGTH
from ledger.sources import SOURCES
from ledger.vocabulary import Source
from sensors.intake.governor import Lane, Ruling, cap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sensors.intake.governing import Governor
    from sensors.intake.records import QueueLine, QueueSnapshot
    from sensors.intake.router import IntakeRouter


OFF = "switched off"


def signals_view(snapshot: QueueSnapshot) -> SignalsView:
    """Pure: the queue as a person sees it."""
    return SignalsView(
        paused=snapshot.paused,
        counts=snapshot.counts,
        ready=snapshot.ready,
        signals=tuple(_signal(line) for line in snapshot.lines),
        more=sum(snapshot.counts.values()) > len(snapshot.lines),
    )


def _signal(line: QueueLine) -> SignalView:
    return SignalView(
        id=line.signal_id,
        short=f"sig-{line.signal_id[-SHORT_ID_LENGTH:]}",
        state=line.state.value,
        source=line.source,
        urgency=line.urgency,
        goal=line.goal,
        priority=line.priority,
        attempts=line.attempts,
        queued_at=line.queued_at,
        waits=line.waits,
        reason=line.reason,
        op=line.op_id,
        branch=line.branch,
        history=line.history,
    )


def queue_view(router: IntakeRouter) -> QueueView:
    """The queue in numbers, for status."""
    counts, ruling = router.snapshot(lines=1), router.governor.rulings()
    by_state = counts.counts
    return QueueView(
        queued=by_state["queued"],
        claimed=by_state["claimed"] + by_state["in_flight"],
        parked=by_state["parked"],
        paused=counts.paused,
        dead=by_state["dead"],
        quarantined=by_state["quarantined"],
        held_back=sum(n for lane, n in router.governor.waiting.items() if not ruling(lane).free),
    )


def posture_view(governor: Governor) -> PostureView:
    """The posture that counts, and what else weighs on the caps."""
    current, situation = governor.current, governor.situation()
    return PostureView(
        posture=current.posture,
        by=current.by,
        since=current.since,
        until=current.until,
        confidence_bp=current.confidence_bp,
        why=current.why,
        brake=situation.brake.reason,
        pressed_by=situation.surroundings.pressed_by,
        ops_hour=situation.tally.ops,
    )


async def sensors_view(
    router: IntakeRouter, lines: Mapping[Source, str], webhooks: str = "", events: str = ""
) -> SensorsView:
    """Every source: what it has sent, what became of that, and why it is held back.

    ``lines``: the status line of each sensor that is on.
    """
    await router.governor.look()
    known, ruling = await router.by_source(), router.governor.rulings()
    sensors = tuple(
        _sensor(source, router, known.get(source.value, {}), ruling, lines.get(source, _without_sensor(source)))
        for source in SOURCES
    )
    return SensorsView(posture=posture_view(router.governor), sensors=sensors, webhooks=webhooks, events=events)


def _without_sensor(source: Source) -> str:
    return "" if source is Source.MANUAL else OFF


def _sensor(
    source: Source,
    router: IntakeRouter,
    known: Mapping[str, tuple[int, str]],
    ruling: Callable[[Lane], Ruling],
    line: str,
) -> SensorView:
    governor, facts = router.governor, SOURCES[source]
    situation = governor.situation()
    states = {state: number for state, (number, _) in known.items()}
    asked_for = Lane(source, facts.urgency, False, source is Source.MANUAL)
    held = [found for lane in governor.waiting if lane.source is source and not (found := ruling(lane)).free]
    suppressed = (held or [ruling(asked_for)])[0]
    return SensorView(
        source=source.value,
        routed_as=facts.routed_as.value,
        line=_line(states),
        says=line,
        last_signal=max((at for _, at in known.values()), default=""),
        states=states,
        turned_away=router.turned_away(source),
        turned_away_why=router.why_turned_away(source),
        ops_hour=situation.tally.by_source.get(source, 0),
        cap_hour=cap(source, facts.urgency, situation.posture, situation.brake.on, governor.settings),
        suppressed="" if suppressed.free or (line == OFF and not held) else f"{suppressed.reason} ({suppressed.rule})",
    )


def _line(states: Mapping[str, int]) -> str:
    told = [f"{number} {state.replace('_', ' ')}" for state, number in sorted(states.items())]
    return ", ".join(told) if told else "no signal yet"


def find_signal(reference: str, known: tuple[str, ...]) -> str:
    """The one id that ``reference`` names: itself, or any end of it. Raises ``ControlError`` for none or several."""
    wanted = reference.strip().lower().removeprefix("sig-")
    found = [signal_id for signal_id in known if wanted and signal_id.removeprefix("sig-").endswith(wanted)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ControlError(f"No signal matches {reference!r}.", remedy="`ouro signals` lists them.")
    raise ControlError(
        f"{reference!r} names {len(found)} signals: {', '.join(found[:5])}.", remedy="Give more of the id."
    )
