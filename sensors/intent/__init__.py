"""Wishes in the free text of the REPL."""

from __future__ import annotations

from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.intent.settings import IntentDiscoverySettings
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec


def _build(ports: DaemonPorts, settings: IntentDiscoverySettings) -> Sensor:
    from sensors.intent.sensor import IntentDiscovery

    return IntentDiscovery(
        repository=ports.repository,
        names=ports.names,
        emit=ports.emit_for_owner,
        unavailable=ports.unavailable,
        ledger=ports.ledger,
        clock=ports.clock,
        redact=ports.redact,
        settings=settings,
    )


def _tables() -> tuple[str, ...]:
    from sensors.intent.wish_book import SCHEMA

    return (SCHEMA,)


SPEC = SensorSpec(
    source=Source.INTENT_DISCOVERY,
    rank=8,
    urgency=Urgency.LOW,
    routed_as=SourceClass.SPECULATIVE,
    settings=IntentDiscoverySettings,
    tighten={"enabled": "off"},
    tables=_tables,
    build=_build,
    docs=(
        DocsRow(
            "wishes in the REPL's free text that you have confirmed",
            "the test that the words name passes; without one, your yes",
            "without a test",
        ),
    ),
)
