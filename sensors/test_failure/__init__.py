"""Failing tests of the committed tree."""

from __future__ import annotations

from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec
from sensors.test_failure.settings import TestFailureSettings


def _build(ports: DaemonPorts, settings: TestFailureSettings) -> Sensor:
    from sensors.test_failure.sensor import TestFailure

    return TestFailure(
        repository=ports.repository,
        tests=ports.tests,
        emit=ports.emit,
        ledger=ports.ledger,
        clock=ports.clock,
        depth_of=ports.depth_of,
        spool=ports.spool,
        redact=ports.redact,
        left_alone=ports.left_alone,
        settings=settings,
    )


def _tables() -> tuple[str, ...]:
    from sensors.test_failure.outcomes import SCHEMA

    return (SCHEMA,)


SPEC = SensorSpec(
    source=Source.TEST_FAILURE,
    rank=2,
    urgency=Urgency.HIGH,
    routed_as=SourceClass.REFLEX,
    settings=TestFailureSettings,
    section="test_failure",
    tables=_tables,
    build=_build,
    docs=(
        DocsRow(
            "tests that fail twice in a row at HEAD",
            "those tests pass",
            "no",
        ),
    ),
)
