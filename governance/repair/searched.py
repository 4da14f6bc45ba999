"""What a cloze search has asked and tested: a later visit of GENERATE goes on from there, and repeats nothing."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from governance.repair.ranking import Survivor


@dataclass(slots=True)
class Searched:
    """Progress at one tree and the same suspicious lines. In memory only: a restarted op searches anew."""

    at: Hashable = None
    waves: int = 0  # whose infills were asked, in the order of the plan
    asked: int = 0
    tested: int = 0
    seen: dict[tuple[str, str], int] = field(default_factory=dict)  # path and shape -> votes
    survivors: list[Survivor] = field(default_factory=list)  # turned the failing tests green, nothing else red

    def begin(self, at: Hashable) -> None:
        """Keep what is known of ``at``; what is known of another scene says nothing about this one."""
        if self.at != at:
            self.at, self.waves, self.asked, self.tested = at, 0, 0, 0
            self.seen, self.survivors = {}, []
