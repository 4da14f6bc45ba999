"""TODO, FIXME and HACK comments that ask for something."""

from __future__ import annotations

from pydantic import Field

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, FileSensorSettings, SensorSpec


class TodoScannerSettings(FileSensorSettings):
    """Markers in comments."""

    enabled: bool = Field(
        False,
        description="Work on TODO, FIXME and HACK comments. Off: a note to oneself is no request, and each costs model "
        "calls; what is proposed waits for the owner's yes.",
    )
    least_words: int = Field(3, ge=1, description="A marker with fewer words says too little to act on.")
    aged_days: int = Field(90, ge=0, description="A marker that stood there before is said after this time; 0: never.")


SPEC = SensorSpec(
    source=Source("todo_scanner"),
    facts=SourceFacts(rank=6, urgency=Urgency.LOW, routed_as=SourceClass.BACKGROUND),
    settings=TodoScannerSettings,
    tighten={"enabled": "off"},
    sensor="sensors.todo.sensor:TodoScanner",
    docs=(
        DocsRow(
            "TODO, FIXME and HACK comments of three words or more that a commit adds, or that are old by `git blame`",
            "no comment has that text any more, and no new marker rephrases it",
            "yes",
        ),
    ),
)
