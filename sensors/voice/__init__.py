"""Spoken goals that a speech program hands over."""

from __future__ import annotations

from pydantic import Field

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, SensorSettings, SensorSpec


class VoiceCommandSettings(SensorSettings):
    """What is spoken to the daemon."""

    enabled: bool = Field(
        True,
        description="Take spoken commands that a speech program of the owner's hands over (`ouro hear`). On: without "
        "such a program it costs nothing, it approves nothing, and a goal without a test waits for the owner's yes.",
    )
    least_bp: int = Field(
        7_000, ge=0, le=10_000, description="Below this confidence (basis points) what changes something is asked back."
    )
    unstated_bp: int = Field(
        0, ge=0, le=10_000, description="Confidence that counts where the speech program states none."
    )
    repeat_s: float = Field(5.0, ge=0, description="The same words within this time are one command.")


SPEC = SensorSpec(
    source=Source("voice_human"),
    facts=SourceFacts(
        rank=1,
        urgency=Urgency.CRITICAL,
        routed_as=SourceClass.REFLEX,
        is_request=True,
        is_testimony=True,
        is_free_text=True,
    ),
    settings=VoiceCommandSettings,
    section="sensors.voice_command",
    tighten={"enabled": "off", "least_bp": "higher"},
    sensor="sensors.voice.sensor:VoiceCommand",
    docs=(
        DocsRow(
            "goals that a speech program has heard (`ouro hear`)",
            "the test that the words name passes; without one, your yes",
            "without a test",
        ),
    ),
)
