"""Pure lookup tables of ROUTE: complexity, source and urgency to route and time limits."""

from __future__ import annotations

from pydantic import Field

from ledger.confidence import CERTAIN_BP, EVEN_BP
from ledger.vocabulary import Complexity, Frozen, Route, SourceClass, Urgency


class ClockSettings(Frozen):
    """Time limits in seconds. A local kernel costs nothing but is slow, so it has limits of its own."""

    turn_immediate_s: int = Field(60, ge=1, description="One model turn on the IMMEDIATE route.")
    turn_standard_s: int = Field(120, ge=1, description="One model turn on the STANDARD route.")
    turn_complex_s: int = Field(180, ge=1, description="One model turn on the COMPLEX route.")
    turn_background_s: int = Field(180, ge=1, description="One model turn on the BACKGROUND and SPECULATIVE routes.")
    turn_local_s: int = Field(600, ge=1, description="One model turn of the local kernel, on every route.")
    grace_s: int = Field(5, ge=0, description="Added to each model turn before it is cut off.")
    op_s: int = Field(360, ge=1, description="An op's own working time; waiting for a person does not count.")
    op_complex_s: int = Field(1_800, ge=1, description="Working time of an op on the COMPLEX route.")
    op_local_s: int = Field(1_200, ge=1, description="Working time of an op that the local kernel serves.")
    repair_s: int = Field(120, ge=1, description="L2 repair, counted from its dispatch.")


def choose_route(
    *, complexity: Complexity, source: SourceClass, urgency: Urgency, confidence_bp: int = CERTAIN_BP
) -> tuple[Route, str]:
    """The route of the first matching row, and the reason. ``confidence_bp``: the signal's calibrated confidence."""
    if complexity >= Complexity.COMPLEX:
        return Route.COMPLEX, f"complexity {complexity.name.lower()}"
    if source is SourceClass.SPECULATIVE:
        return Route.SPECULATIVE, "speculative source"
    if source is SourceClass.BACKGROUND:
        return Route.BACKGROUND, "background source"
    if source is SourceClass.REFLEX and urgency is Urgency.CRITICAL and confidence_bp < EVEN_BP:
        return Route.STANDARD, "reflex source, critical, but more often wrong than right"
    if source is SourceClass.REFLEX and urgency is Urgency.CRITICAL:
        return Route.IMMEDIATE, "reflex source, critical"
    return Route.STANDARD, "no narrower row"


def turn_seconds(route: Route, *, local: bool, clocks: ClockSettings) -> int:
    """Time limit of one model turn on ``route``, grace included."""
    if local:
        return clocks.turn_local_s + clocks.grace_s
    by_route = {
        Route.IMMEDIATE: clocks.turn_immediate_s,
        Route.STANDARD: clocks.turn_standard_s,
        Route.COMPLEX: clocks.turn_complex_s,
    }
    return by_route.get(route, clocks.turn_background_s) + clocks.grace_s


def op_seconds(route: Route, *, local: bool, clocks: ClockSettings) -> int:
    """Limit of an op's own working time."""
    base = clocks.op_complex_s if route is Route.COMPLEX else clocks.op_s
    return max(base, clocks.op_local_s) if local else base
