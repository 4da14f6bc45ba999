"""Exploration results of an op, kept from one attempt to the next so that no call has to be repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.manifest import ToolContext, ToolUse

KEPT = 8
"""Number of newest results that the next attempt is shown."""


@dataclass(slots=True)
class ExplorationCache:
    """Exploration calls made on ``tree``, the files read (path to sha256), and the newest results by title."""

    tree: str = ""
    uses: tuple[ToolUse, ...] = ()
    reads: dict[str, str] = field(default_factory=dict)
    results: tuple[tuple[str, str], ...] = ()

    def begin(self, tree: str, context: ToolContext) -> tuple[tuple[str, str], ...]:
        """Add earlier exploration of the same tree to ``context``; returns results to show. Reset for a new tree."""
        if self.tree != tree:
            self.tree, self.uses, self.reads, self.results = tree, (), {}, ()
        context.uses.extend(self.uses)
        context.reads.update(self.reads)
        return self.results

    def keep(self, context: ToolContext, results: Sequence[tuple[str, str]]) -> None:
        """Keep the exploration in ``context``; not calls that changed or ran something in its own workspace."""
        self.uses = tuple(use for use in context.uses if use.category is not None)
        self.reads = dict(context.reads)
        self.results = tuple(dict([*self.results, *results]).items())[-KEPT:]
