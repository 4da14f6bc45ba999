"""Ready items of the committed backlog file."""

from __future__ import annotations

from pydantic import Field

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, FileSensorSettings, SensorSpec


class BacklogSettings(FileSensorSettings):
    """The owner's list of wishes."""

    enabled: bool = Field(
        True,
        description="Work on ready items of a committed .ouro/backlog.toml or .ouro/backlog.md. On: without such a "
        "file it costs nothing, its items are requests, and what is proposed waits for the owner's yes.",
    )
    per_look: int = Field(1, ge=0, description="Most items of one look; what is left over waits for the next commit.")


SPEC = SensorSpec(
    source=Source("backlog"),
    facts=SourceFacts(rank=5, urgency=Urgency.NORMAL, routed_as=SourceClass.BACKGROUND, is_testimony=True),
    settings=BacklogSettings,
    tighten={"enabled": "off"},
    sensor="sensors.backlog.sensor:Backlog",
    docs=(
        DocsRow(
            "ready items of `.ouro/backlog.toml` or `.ouro/backlog.md`, one per look",
            "the item is marked done with the op's id; the daemon adds that mark to the op's commit itself",
            "yes",
        ),
    ),
)
