"""Convergence records: what was claimed, on what evidence and how surely; and, later, what came of it.

Both are entries of the ledger. A grade names the sequence number of its record, and what the record was graded as
before, so that the log can be read forwards once and nothing has to be looked up. Everything here is pure.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from ledger.vocabulary import Frozen

CLAIMED, GRADED = "claimed", "graded"
SAID: Final = 200
"""Characters of a claim, of its evidence and of a reason."""

KeyKind = Literal["provider", "route", "source", "strategy", "goal", "reply"]


class TrustKey(Frozen):
    """What a tally is kept for: one provider, route, source of signals, strategy, class of goals, or kind of reply."""

    kind: KeyKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class About(StrEnum):
    """What a record speaks of."""

    CONDITION = "condition"  # a sensor: this is there, and worth an op
    CHANGE = "change"  # a strategy: this candidate is what was asked for
    REPLY = "reply"  # a model: this answer is of use


class Outcome(StrEnum):
    """What a claim came to. VOID closes a record without counting: nothing was learned of it."""

    HIT = "hit"
    MISS = "miss"
    VOID = "void"


class Band(StrEnum):
    """The time that evidence speaks of."""

    NOW = "now"  # seen by the op itself, on the tree that it works on
    THIS_CHANGE = "this change"  # seen at the commit that the op is planned on
    THIS_WEEK = "this week"
    OLDER = "older"


class Record(Frozen):
    """One claim. ``confidence_bp`` None: nobody said how sure it is. ``outcome``: where it is known at once."""

    about: About
    claim: str
    evidence: str
    confidence_bp: int | None = Field(default=None, ge=0, le=10_000)
    source: str
    keys: tuple[TrustKey, ...]
    band: Band
    outcome: Outcome | None = None


class Graded(Frozen):
    """What a record came to. ``was`` is the grade that this one replaces; keys and confidence are the record's."""

    record: int
    about: About
    keys: tuple[TrustKey, ...]
    confidence_bp: int | None
    outcome: Outcome
    was: Outcome | None = None
