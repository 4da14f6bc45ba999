"""The result of a strategy of GENERATE."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ledger.vocabulary import Candidate, FailureClass, RootCause
from tools.manifest import ToolUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A candidate, or the reason why there is none. ``retry``: another turn with feedback may help."""

    candidate: Candidate | None
    reason: str
    cause: RootCause = RootCause.NO_CANDIDATE
    failure: FailureClass = FailureClass.CODE
    rule: str = ""
    retry: bool = False
    tried: int = 0
    exploration: tuple[ToolUse, ...] = ()
    reads: dict[str, str] | None = None
    notes: tuple[str, ...] = ()
    shown: tuple[str, ...] | None = None  # failing tests that the author saw; None: it could read them all
    repaired: tuple[str, ...] = ()  # tests that failed
    doubt: str = ""  # an input on which another passing repair behaves differently
    confidence_bp: int | None = None  # stated by the strategy
    way: str = ""  # kind of edit, within the strategy
    proximity_milli: int = 0  # proximity of its answer to a collapse, and the signal
    signal: str = ""

    def with_exploration(self, uses: tuple[ToolUse, ...], reads: dict[str, str]) -> Proposal:
        """The same proposal with the exploration that led to it."""
        return replace(self, exploration=uses, reads=reads)
