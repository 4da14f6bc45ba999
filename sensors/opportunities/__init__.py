"""Functions that a commit makes too complex, duplicates, dead code."""

from __future__ import annotations

from pydantic import Field

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, FileSensorSettings, SensorSpec


class OpportunityMinerSettings(FileSensorSettings):
    """Code that has become hard to read, is duplicated, or is used no more."""

    enabled: bool = Field(
        False,
        description="Simplify functions that a commit has made too complex, join those that it has made equal, remove "
        "what it has left without use. Off: a rewrite that nobody asked for is only as safe as the tests are good, "
        "and it may land by itself.",
    )
    complexity: int = Field(15, ge=3, description="Cyclomatic complexity from which on a function is too complex.")
    duplicates: bool = Field(True, description="Say which functions are the same up to their local names.")
    least_statements: int = Field(8, ge=3, description="Functions with fewer statements are no duplicates.")
    dead_code: bool = Field(
        True, description="Say which private functions nothing names any more, and what can never be carried out."
    )
    most_tree_files: int = Field(
        2_000,
        ge=1,
        description="In a repository with more Python files neither duplicates nor dead functions are said.",
    )
    per_look: int = Field(
        1, ge=0, description="Most functions of one look; what is left over waits for the next commit."
    )


SPEC = SensorSpec(
    source=Source("opportunity_miner"),
    facts=SourceFacts(rank=6, urgency=Urgency.LOW, routed_as=SourceClass.BACKGROUND),
    settings=OpportunityMinerSettings,
    tighten={"enabled": "off"},
    sensor="sensors.opportunities.sensor:OpportunityMiner",
    docs=(
        DocsRow(
            "functions that a commit makes more complex than `complexity`",
            "the function is below that, and no other function of the file has risen above it",
            "no",
        ),
        DocsRow(
            "functions that a commit makes equal up to their local names",
            "one is left, none of the others is half as large, nothing uses the removed ones",
            "no",
        ),
        DocsRow(
            "private functions and methods that lose their last mention; statements that no run can reach",
            "the function is gone, also under another name, and nothing names it; every statement "
            "can be reached, and the function is smaller",
            "no",
        ),
    ),
)
