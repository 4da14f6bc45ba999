"""Progress of a search, kept for the next GENERATE phase of the op, so that no step is repeated."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from governance.repair.failure_context import FailureContext
from governance.repair.ranking import Partial, PassingVariant
from governance.repair.search_plan import Step

LISTED_LINES, LISTED_FILES = 12, 4


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """One base of the search: the op's tree, or a partial repair. ``scene``: failing tests; ``turns``: steps taken."""

    number: int
    scene: FailureContext
    plan: Iterator[Step]
    parent: Node | None = None
    change: Partial | None = None  # difference from the parent
    mended: int = 0  # number of tests that its partial repair has turned green
    given: deque[Step] = field(default_factory=deque)  # steps to take before the rest of the plan
    partials: list[Partial] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)  # path and syntax of known variants
    tried: set[tuple[str, str, int]] = field(default_factory=set)  # early steps that were taken: name, path, line
    turns: int = 0
    live: bool = True

    def shown(self, most: int) -> tuple[str, ...]:
        """Ids of tests shown to the model for this node's change or a parent's, and of tests with equal examples."""
        seen = {example.says for example in self.scene.shown(most)}
        own = tuple(example.test_id for example in self.scene.examples if example.says in seen)
        return own + (self.parent.shown(most) if self.parent is not None else ())

    def step(self) -> Step | None:
        """The next step; None when the plan is exhausted. May block: call it in a thread."""
        return self.given.popleft() if self.given else next(self.plan, None)


@dataclass(slots=True)
class SearchProgress:
    """Progress for one tree and its suspicious lines, in memory; ``search_resume.py`` has what survives a crash."""

    at: Hashable = None
    nodes: list[Node] = field(default_factory=list)
    asked: int = 0
    tested: int = 0
    survivors: list[PassingVariant] = field(default_factory=list)  # all failing tests pass, nothing else is red

    def begin(self, at: Hashable, root: Node) -> None:
        """Keep the progress if it belongs to ``at`` (tree and suspicious lines), else start over."""
        if self.at != at:
            self.at, self.nodes, self.asked, self.tested, self.survivors = at, [root], 0, 0, []

    def next(self) -> Node | None:
        """The live base with the fewest steps taken; among equals, the one with fewer failing tests."""
        live = [node for node in self.nodes if node.live]
        return min(live, key=lambda n: (n.turns, len(n.scene.failing)), default=None)

    @property
    def distinct(self) -> int:
        return sum(len(node.seen) for node in self.nodes)

    @property
    def summary(self) -> str:
        """For the user: the kinds of attempts made and their lines; empty if there were none."""
        tried = {each for node in self.nodes for each in node.tried}
        lines: dict[str, set[int]] = {}
        for _, path, line in tried:
            lines.setdefault(path, set()).add(line)
        places = [f"{path}:{join_first(sorted(lines[path]), LISTED_LINES)}" for path in sorted(lines)]
        if not places:
            return ""
        return f"{', '.join(sorted({name for name, *_ in tried}))} at {join_first(places, LISTED_FILES)}"


def join_first(items: Sequence[object], most: int) -> str:
    """The first ``most`` items, and the number of the others."""
    more = len(items) - most
    return ", ".join(map(str, items[:most])) + (f" and {more} more" if more > 0 else "")
