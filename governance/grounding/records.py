"""Convergence records: a claim with its evidence and confidence, and later its grade.

Both are ledger entries. A grade names the sequence number of its record and the grade that it replaces, so that one
forward pass over the ledger suffices. Pure.
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
"""Maximum characters of a claim, its evidence, and a reason."""
MOST_REPLIES: Final = 64
"""Maximum number of model replies with a record, for each op. The others are only counted at its end."""
WEEK: Final = timedelta(days=7)

KeyKind = Literal["provider", "route", "source", "strategy", "goal", "reply"]


class TrustKey(Frozen):
    """Key of a tally: a provider, route, source, strategy, kind of goal, or kind of reply."""

    kind: KeyKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @classmethod
    def of(cls, text: str) -> TrustKey:
        """Inverse of ``str``. Raises ``ValueError``."""
        kind, _, name = text.partition(" ")
        if kind not in get_args(KeyKind) or not name:
            raise ValueError(f"{text!r} is no key of trust")
        return cls.model_validate({"kind": kind, "name": name})


class About(StrEnum):
    """The kind of claim."""

    CONDITION = "condition"  # a sensor: the condition exists and is worth an op
    CHANGE = "change"  # a strategy: the candidate meets the goal
    REPLY = "reply"  # a model: the answer is useful


class Outcome(StrEnum):
    """Outcome of a claim. VOID closes a record without counting it."""

    HIT = "hit"
    MISS = "miss"
    VOID = "void"


class Band(StrEnum):
    """Age of evidence."""

    NOW = "now"  # observed by the op on its own tree
    THIS_CHANGE = "this change"  # observed at the op's base commit
    THIS_WEEK = "this week"
    OLDER = "older"


_WEIGHTS: Final = {Band.NOW: 10_000, Band.THIS_CHANGE: 10_000, Band.THIS_WEEK: 5_000, Band.OLDER: 2_500}


def weight_bp(band: Band) -> int:
    """Weight of evidence of that age; stale evidence weighs less."""
    return _WEIGHTS[band]


def band_of(seen_at: datetime | None, *, now: datetime, same_commit: bool) -> Band:
    """The age band of an observation. ``seen_at`` None: unknown."""
    if same_commit:
        return Band.THIS_CHANGE
    return Band.THIS_WEEK if seen_at is not None and now - seen_at <= WEEK else Band.OLDER


class Record(Frozen):
    """One claim. ``confidence_bp`` None: not stated. ``source``: what made the claim."""

    about: About
    claim: str
    evidence: str
    confidence_bp: int | None = Field(default=None, ge=0, le=10_000)
    source: str
    keys: tuple[TrustKey, ...]
    band: Band

    def payload(self) -> dict[str, Any]:
        """Payload of its entry, whose event is :data:`CLAIMED`."""
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
        """The record in an entry's payload."""
        facts = {name: payload.get(name) for name in cls.model_fields}
        return cls.model_validate({**facts, "keys": tuple(TrustKey.of(key) for key in payload["keys"])})


class Graded(Frozen):
    """Grade of a record. ``was``: the grade that it replaces; keys and confidence are the record's."""

    record: int  # sequence number
    about: About
    outcome: Outcome
    was: Outcome | None = None
    confidence_bp: int | None = None
    keys: tuple[TrustKey, ...] = ()

    def row(self) -> list[Any]:
        """Its row in an entry, whose event is :data:`GRADED`."""
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
    """Payload of a grading entry. ``why``: the reason; ``beyond``: number of replies without a record."""
    return {"why": why[:SAID], "grades": [grade.row() for grade in grades], "beyond": beyond}


def is_record(entry: Entry) -> bool:
    return entry.kind is EntryKind.GROUNDING and entry.payload.get("event") == CLAIMED


def grades_in(entry: Entry) -> tuple[Graded, ...]:
    """The grades in an entry; empty for other entries."""
    if entry.kind is not EntryKind.GROUNDING or entry.payload.get("event") != GRADED:
        return ()
    return tuple(Graded.read(row) for row in entry.payload["grades"])
