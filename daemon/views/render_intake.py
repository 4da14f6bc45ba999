"""Signals, sensors and posture as blocks of text. Pure."""

from __future__ import annotations

from daemon.control.intake_messages import PostureView, SensorsView, SensorView, SignalsView, SignalView
from daemon.views.narrate import EventLine, short_of
from daemon.views.render import labelled
from daemon.views.text import Block, Line, Role, Span, count, line

ROLES = {"dead": Role.BAD, "quarantined": Role.WARN, "parked": Role.WARN, "in_flight": Role.GOOD}


def signals_block(view: SignalsView) -> Block:
    """``ouro signals``: one line each, and below it why it does not run."""
    told = ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in view.counts.items() if number)
    pause = [Span("PAUSED", Role.WARN), Span(" · ")] if view.paused else []
    lines: list[Line] = [line(*pause, Span(told or "No signals.", Role.HEAD))]
    for signal in view.signals:
        lines += _signal(signal)
    return (*lines, line("There are more: --limit shows them.")) if view.more else tuple(lines)


def _signal(view: SignalView) -> list[Line]:
    tries = f" · {count(view.attempts, 'attempt')}" if view.attempts else ""
    held = f" · {short_of(view.op)}" if view.op else ""
    head = line(
        Span(f"{view.short}  ", Role.HEAD),
        Span(f"{view.state.upper():<15}", ROLES.get(view.state, Role.PLAIN)),
        f"{view.source:<14} {view.urgency:<9}{view.goal}",
        Span(f"  {view.priority:+d}{tries}{held}", Role.DIM),
    )
    why = view.waits or (view.reason if view.state != "queued" else "")
    branch = f"branch {view.branch}" if view.branch else ""
    below = [labelled(EventLine("why", text)) for text in (why, branch) if text]
    if view.state in ("dead", "quarantined"):
        below += [labelled(EventLine("had", text, Role.DIM)) for text in view.history]
    if view.state in ("dead", "quarantined") or (view.state == "parked" and view.op is None):
        text = f'ouro retry {view.short} · ouro drop {view.short} --why "..."'
        below.append(labelled(EventLine("next", text, Role.DIM)))
    return [head, *below]


def sensors_block(view: SensorsView) -> Block:
    """``ouro sensors``."""
    others = (("events", view.events), ("webhooks", view.webhooks))
    heard = [line(Span(f"{name:<24}", Role.HEAD), told) for name, told in others if told]
    return (*posture_block(view.posture), *(each for sensor in view.sensors for each in _sensor(sensor)), *heard)


def _sensor(view: SensorView) -> list[Line]:
    when = f" · last {view.last_signal[:19].replace('T', ' ')}" if view.last_signal else ""
    away = "".join(f" · {number} {what}" for what, number in view.turned_away.items() if number)
    load = f"{view.ops_hour} of {count(view.cap_hour, 'op')} an hour"
    lines = [line(Span(f"{view.source:<24}", Role.HEAD), f"{view.line}{when}{away}", Span(f"  {load}", Role.DIM))]
    lines += [labelled(EventLine("says", view.says, Role.DIM))] if view.says else []
    lines += [labelled(EventLine("away", view.turned_away_why, Role.DIM))] if view.turned_away_why else []
    return [*lines, labelled(EventLine("held", view.suppressed, Role.WARN))] if view.suppressed else lines


def posture_block(view: PostureView) -> Block:
    """``ouro posture``."""
    until = f" until {view.until[:16].replace('T', ' ')}" if view.until else ""
    by = f"set by the owner{until}" if view.by == "owner" else f"inferred, {view.confidence_bp // 100} % sure"
    lines = [
        line(Span(view.posture.value, Role.HEAD), f" · {by} · {count(view.ops_hour, 'op')} in the last hour"),
        labelled(EventLine("why", view.why)),
    ]
    if view.brake:
        lines.append(labelled(EventLine("brake", f"emergency brake: {view.brake}", Role.BAD)))
    if view.pressed_by:
        lines.append(labelled(EventLine("pressure", f"no exploration: {view.pressed_by}", Role.WARN)))
    return tuple(lines)
