"""Spoken goals that a speech program hands over."""

from __future__ import annotations

from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec
from sensors.voice.settings import VoiceCommandSettings


def _build(ports: DaemonPorts, settings: VoiceCommandSettings) -> Sensor:
    from sensors.voice.sensor import VoiceCommand

    return VoiceCommand(
        repository=ports.repository,
        emit=ports.emit_for_owner,
        takes_words=lambda: not ports.unavailable(),
        clock=ports.clock,
        redact=ports.redact,
        settings=settings,
    )


SPEC = SensorSpec(
    source=Source.VOICE_HUMAN,
    rank=1,
    urgency=Urgency.CRITICAL,
    routed_as=SourceClass.REFLEX,
    settings=VoiceCommandSettings,
    section="sensors.voice_command",
    tighten={"enabled": "off", "least_bp": "higher"},
    build=_build,
    docs=(
        DocsRow(
            "goals that a speech program has heard (`ouro hear`)",
            "the test that the words name passes; without one, your yes",
            "without a test",
        ),
    ),
)
