"""Wishes in the free text of the REPL."""

from __future__ import annotations

from pydantic import Field

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, SensorSettings, SensorSpec


class IntentDiscoverySettings(SensorSettings):
    """What free text in the REPL may come to."""

    enabled: bool = Field(
        True,
        description="Ask whether a wish in the REPL's free text is work. On: rules find it without a model, all that "
        "follows is a question, and only the owner's yes makes work of it.",
    )
    least_bp: int = Field(
        5_000, ge=0, le=10_000, description="Below this confidence (basis points) of the rules nothing is asked."
    )
    most_open: int = Field(3, ge=0, description="Questions that may wait; while so many do, no other is asked.")
    open_days: float = Field(7.0, gt=0, description="A question that is not answered for so long is a no.")
    turns: int = Field(10, ge=0, description="Turns of the conversation that are kept.")
    turn_chars: int = Field(1_000, ge=1, description="Characters that are kept of what one side said.")


SPEC = SensorSpec(
    source=Source("intent_discovery"),
    facts=SourceFacts(rank=8, urgency=Urgency.LOW, routed_as=SourceClass.SPECULATIVE, is_free_text=True),
    settings=IntentDiscoverySettings,
    tighten={"enabled": "off"},
    sensor="sensors.intent.sensor:IntentDiscovery",
    docs=(
        DocsRow(
            "wishes in the REPL's free text that you have confirmed",
            "the test that the words name passes; without one, your yes",
            "without a test",
        ),
    ),
)
