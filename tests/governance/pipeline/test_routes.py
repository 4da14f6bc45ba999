"""ROUTE: first match of one table."""

from __future__ import annotations

import pytest

from governance.pipeline.routes import ClockSettings, choose_route, op_seconds, turn_seconds
from ledger.vocabulary import Complexity, Route, SourceClass, Urgency


@pytest.mark.parametrize(
    ("complexity", "source", "urgency", "route"),
    [
        (Complexity.COMPLEX, SourceClass.REFLEX, Urgency.CRITICAL, Route.COMPLEX),
        (Complexity.ARCHITECTURAL, SourceClass.BACKGROUND, Urgency.LOW, Route.COMPLEX),
        (Complexity.SIMPLE, SourceClass.SPECULATIVE, Urgency.CRITICAL, Route.SPECULATIVE),
        (Complexity.SIMPLE, SourceClass.BACKGROUND, Urgency.CRITICAL, Route.BACKGROUND),
        (Complexity.SIMPLE, SourceClass.REFLEX, Urgency.CRITICAL, Route.IMMEDIATE),
        (Complexity.SIMPLE, SourceClass.REFLEX, Urgency.HIGH, Route.STANDARD),
        (Complexity.TRIVIAL, SourceClass.STANDARD, Urgency.CRITICAL, Route.STANDARD),
    ],
)
def test_route(complexity: Complexity, source: SourceClass, urgency: Urgency, route: Route) -> None:
    assert choose_route(complexity=complexity, source=source, urgency=urgency)[0] is route


def test_the_local_kernel_has_its_own_ceilings() -> None:
    clocks = ClockSettings()
    assert turn_seconds(Route.IMMEDIATE, local=False, clocks=clocks) == 65
    assert turn_seconds(Route.IMMEDIATE, local=True, clocks=clocks) == clocks.turn_local_s + clocks.grace_s
    assert op_seconds(Route.STANDARD, local=False, clocks=clocks) == 360
    assert op_seconds(Route.STANDARD, local=True, clocks=clocks) == 1_200
    assert op_seconds(Route.COMPLEX, local=True, clocks=clocks) == 1_800
