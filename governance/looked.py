"""What an op has looked up so far: kept from one attempt to the next, so that none of it has to be asked for again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.manifest import ToolContext, ToolUse

KEPT = 8
"""Newest results that the next attempt is shown."""


@dataclass(slots=True)
class Looked:
    """Calls that looked at ``tree``, the files read there (path to sha256), and the newest results by name."""

    tree: str = ""
    uses: tuple[ToolUse, ...] = ()
    reads: dict[str, str] = field(default_factory=dict)
    results: tuple[tuple[str, str], ...] = ()

    def begin(self, tree: str, context: ToolContext) -> tuple[tuple[str, str], ...]:
        """Count what was looked up at ``tree`` before as looked up; returns what is shown of it."""
        if self.tree != tree:
            self.tree, self.uses, self.reads, self.results = tree, (), {}, ()
        context.uses.extend(self.uses)
        context.reads.update(self.reads)
        return self.results

    def keep(self, context: ToolContext, results: Sequence[tuple[str, str]]) -> None:
        """Remember the exploration of ``context``; what changed or ran something was of its own workspace."""
        self.uses = tuple(use for use in context.uses if use.category is not None)
        self.reads = dict(context.reads)
        self.results = tuple(dict([*self.results, *results]).items())[-KEPT:]
