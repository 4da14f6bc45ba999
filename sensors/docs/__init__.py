"""Docstrings and pages that a commit leaves missing or out of date."""

from __future__ import annotations

from pydantic import Field

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, FileSensorSettings, SensorSpec


class DocStalenessSettings(FileSensorSettings):
    """Docstrings and pages of what changes."""

    enabled: bool = Field(
        False,
        description="Write docstrings for public symbols that a commit adds or changes without one, and bring those up "
        "to date whose parameters have changed. Off: whether and how a repository documents is its owner's taste, and "
        "a change of docstrings alone may land by itself.",
    )
    pages: bool = Field(
        True, description="Say also which pages (README, docs/) name what a commit has taken away; waits for your yes."
    )
    least_lines: int = Field(5, ge=1, description="Shorter symbols are left to speak for themselves.")


SPEC = SensorSpec(
    source=Source("doc_staleness"),
    facts=SourceFacts(rank=6, urgency=Urgency.LOW, routed_as=SourceClass.BACKGROUND),
    settings=DocStalenessSettings,
    tighten={"enabled": "off"},
    sensor="sensors.docs.sensor:DocStaleness",
    docs=(
        DocsRow(
            "public symbols without a docstring that a commit adds or changes",
            "the symbol has a docstring of a few words",
            "only when code changes with it",
        ),
        DocsRow(
            "docstrings (Google, NumPy, Sphinx) whose parameters a commit renames, removes or adds",
            "each parameter has its line, and no removed one has",
            "only when code changes with it",
        ),
        DocsRow(
            "pages (README, `docs/`) outside the commit that name, in code, a public name or parameter that it removed",
            "the page no longer names it",
            "yes",
        ),
    ),
)
