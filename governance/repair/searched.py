"""What a search has asked, tested and kept: a later visit of GENERATE goes on from there, and repeats nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from governance.repair.ranking import Partial, Survivor
from governance.repair.scene import Scene
from governance.repair.waves import Step

LINES_TOLD, FILES_TOLD = 12, 4


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """One base of the search: the op's tree, or a partial repair of it. ``turns``: steps that were taken on it."""

    number: int
    scene: Scene
    plan: Iterator[Step]
    parent: Node | None = None
    change: Partial | None = None  # what was done to the parent's texts
    mended: int = 0  # tests that its partial repair has turned green
    given: deque[Step] = field(default_factory=deque)  # tried before the plan goes on
    partials: list[Partial] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)  # path and shape of what was told
    tried: set[tuple[str, str, int]] = field(default_factory=set)  # first steps that were taken: name, path, line
    turns: int = 0
    live: bool = True

    def shown(self, most: int) -> tuple[str, ...]:
        """Tests that whoever changed this base, or one that it comes from, was shown, under whichever name."""
        seen = {example.says for example in self.scene.shown(most)}
        own = tuple(example.test_id for example in self.scene.examples if example.says in seen)
        return own + (self.parent.shown(most) if self.parent is not None else ())

    def step(self) -> Step | None:
        """What to try next; None when all was tried. May take a moment: for a thread."""
        return self.given.popleft() if self.given else next(self.plan, None)


@dataclass(slots=True)
class Searched:
    """Progress at one tree and the same suspicious lines. In memory; what a crash leaves of it: ``resumed.py``."""

    at: Hashable = None
    nodes: list[Node] = field(default_factory=list)
    asked: int = 0
    tested: int = 0
    survivors: list[Survivor] = field(default_factory=list)  # turned the failing tests green, nothing else red

    def begin(self, at: Hashable, root: Node) -> None:
        """Keep what is known of ``at``; what is known of another scene says nothing about this one."""
        if self.at != at:
            self.at, self.nodes, self.asked, self.tested, self.survivors = at, [root], 0, 0, []

    def next(self) -> Node | None:
        """Whose turn it is: all live bases in turn, those with less left to mend first."""
        live = [node for node in self.nodes if node.live]
        return min(live, key=lambda n: (n.turns, len(n.scene.failing)), default=None)

    @property
    def distinct(self) -> int:
        return sum(len(node.seen) for node in self.nodes)

    @property
    def told(self) -> str:
        """For a person: the kinds of attempts that were made, and at which lines; empty when there was none."""
        tried = {each for node in self.nodes for each in node.tried}
        lines: dict[str, set[int]] = {}
        for _, path, line in tried:
            lines.setdefault(path, set()).add(line)
        places = [f"{path}:{listed(sorted(lines[path]), LINES_TOLD)}" for path in sorted(lines)]
        if not places:
            return ""
        return f"{', '.join(sorted({name for name, *_ in tried}))} at {listed(places, FILES_TOLD)}"


def listed(items: Sequence[object], most: int) -> str:
    """The first of them, and how many more there are."""
    more = len(items) - most
    return ", ".join(map(str, items[:most])) + (f" and {more} more" if more > 0 else "")
