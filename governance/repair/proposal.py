"""What a strategy of GENERATE gives back."""

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
    doubt: str = ""  # with what input another repair that passes does something else
    confidence_bp: int | None = None  # as the strategy says itself
    way: str = ""  # by what means of the strategy it was found
    proximity_milli: int = 0  # how close its answer came to a collapse, and by which signal
    signal: str = ""

    def with_exploration(self, uses: tuple[ToolUse, ...], reads: dict[str, str]) -> Proposal:
        """The same proposal with what was explored to get it."""
        return replace(self, exploration=uses, reads=reads)
