"""Convergence records: what was claimed, on what evidence and how surely; and, later, what came of it.

Both are entries of the ledger. A grade names the sequence number of its record, and what the record was graded as
before, so that the log is read forwards once and nothing has to be looked up. Everything here is pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal, get_args

from pydantic import Field

from ledger.vocabulary import Entry, EntryKind, Frozen

CLAIMED, GRADED = "claimed", "graded"
SAID: Final = 200
"""Characters of a claim, of its evidence and of a reason."""
MOST_REPLIES: Final = 64
"""Replies of a model that have a record of their own, an op. What is beyond is counted when the op ends."""
WEEK: Final = timedelta(days=7)

KeyKind = Literal["provider", "route", "source", "strategy", "goal", "reply"]


class TrustKey(Frozen):
    """What a tally is kept for: one provider, route, source of signals, strategy, class of goals, or kind of reply."""

    kind: KeyKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @classmethod
    def of(cls, text: str) -> TrustKey:
        """The key that ``str`` gave. Raises ``ValueError``."""
        kind, _, name = text.partition(" ")
        if kind not in get_args(KeyKind) or not name:
            raise ValueError(f"{text!r} is no key of trust")
        return cls.model_validate({"kind": kind, "name": name})


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


_WEIGHTS: Final = {Band.NOW: 10_000, Band.THIS_CHANGE: 10_000, Band.THIS_WEEK: 5_000, Band.OLDER: 2_500}


def weight_bp(band: Band) -> int:
    """How much evidence of that time counts: what is stale weighs less."""
    return _WEIGHTS[band]


def band_of(seen_at: datetime | None, *, now: datetime, same_commit: bool) -> Band:
    """The band of something that was seen at another time. ``seen_at`` None: nobody knows when."""
    if same_commit:
        return Band.THIS_CHANGE
    return Band.THIS_WEEK if seen_at is not None and now - seen_at <= WEEK else Band.OLDER


class Record(Frozen):
    """One claim. ``confidence_bp`` None: nobody said how sure it is. ``source`` is who claims it."""

    about: About
    claim: str
    evidence: str
    confidence_bp: int | None = Field(default=None, ge=0, le=10_000)
    source: str
    keys: tuple[TrustKey, ...]
    band: Band

    def payload(self) -> dict[str, Any]:
        """As it stands in its entry, whose event is :data:`CLAIMED`."""
        return {
            "about": self.about.value,
            "claim": self.claim[:SAID],
            "evidence": self.evidence[:SAID],
            "confidence_bp": self.confidence_bp,
            "source": self.source[:SAID],
            "keys": [str(key) for key in self.keys],
            "band": self.band.value,
        }

    @classmethod
    def read(cls, payload: Mapping[str, Any]) -> Record:
        """The record of an entry."""
        facts = {name: payload.get(name) for name in cls.model_fields}
        return cls.model_validate({**facts, "keys": tuple(TrustKey.of(key) for key in payload["keys"])})


class Graded(Frozen):
    """What a record came to. ``was`` is the grade that this one replaces; keys and confidence are the record's."""

    record: int  # sequence number
    about: About
    outcome: Outcome
    was: Outcome | None = None
    confidence_bp: int | None = None
    keys: tuple[TrustKey, ...] = ()

    def row(self) -> list[Any]:
        """As it stands in an entry, whose event is :data:`GRADED`."""
        was = self.was.value if self.was else None
        keys = [str(key) for key in self.keys]
        return [self.record, self.about.value, self.outcome.value, was, self.confidence_bp, keys]

    @classmethod
    def read(cls, row: Sequence[Any]) -> Graded:
        record, about, outcome, was, confidence_bp, keys = row
        return cls(
            record=record,
            about=About(about),
            outcome=Outcome(outcome),
            was=Outcome(was) if was else None,
            confidence_bp=confidence_bp,
            keys=tuple(TrustKey.of(key) for key in keys),
        )


def graded_payload(grades: Iterable[Graded], why: str, *, beyond: int = 0) -> dict[str, Any]:
    """``why``: what was learned, in words. ``beyond``: replies that have no record of their own."""
    return {"why": why[:SAID], "grades": [grade.row() for grade in grades], "beyond": beyond}


def is_record(entry: Entry) -> bool:
    return entry.kind is EntryKind.GROUNDING and entry.payload.get("event") == CLAIMED


def grades_in(entry: Entry) -> tuple[Graded, ...]:
    """The grades that an entry holds; none for any other entry."""
    if entry.kind is not EntryKind.GROUNDING or entry.payload.get("event") != GRADED:
        return ()
    return tuple(Graded.read(row) for row in entry.payload["grades"])
