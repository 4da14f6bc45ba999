"""Convergence records: a claim with its evidence and confidence, and later its grade.

A grade names the sequence number of its claim's entry and the grade that it replaces, so that one forward pass over
the ledger suffices. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from ledger.events.event import LedgerEvent, event_in
from ledger.vocabulary import Entry, EntryKind, Frozen

SAID: Final = 200
"""Maximum characters of a claim, its evidence, and a reason."""
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


class ClaimOutcome(StrEnum):
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


Brief = Annotated[str, AfterValidator(lambda text: text[:SAID])]
KeyText = Annotated[
    TrustKey, BeforeValidator(lambda key: TrustKey.of(key) if isinstance(key, str) else key), PlainSerializer(str)
]
"""A trust key, stored as text."""


class ClaimMade(LedgerEvent, kind=EntryKind.GROUNDING, name="claimed"):
    """One claim. ``confidence_bp`` None: not stated. ``source``: what made the claim."""

    about: About
    claim: Brief
    evidence: Brief
    confidence_bp: int | None = Field(default=None, ge=0, le=10_000)
    source: Brief
    keys: tuple[KeyText, ...]
    band: Band


class Graded(Frozen):
    """Grade of a claim. ``was``: the grade that it replaces; keys and confidence are the claim's."""

    record: int  # sequence number
    about: About
    outcome: ClaimOutcome
    was: ClaimOutcome | None = None
    confidence_bp: int | None = None
    keys: tuple[KeyText, ...] = ()


def _row(grade: Graded) -> list[Any]:
    return list(grade.model_dump(mode="json").values())


def _of_row(row: Any) -> Any:
    """The fields of a grade, from the list of them; anything else unchanged."""
    return dict(zip(Graded.model_fields, row, strict=False)) if isinstance(row, list) else row


class ClaimsGraded(LedgerEvent, kind=EntryKind.GROUNDING, name="graded"):
    """Grades, each stored as the list of its fields. ``beyond``: number of replies of the op without a claim."""

    why: Brief = ""
    grades: tuple[Annotated[Graded, BeforeValidator(_of_row), PlainSerializer(_row)], ...]
    beyond: int = 0


def grades_in(entry: Entry) -> tuple[Graded, ...]:
    """The grades in an entry; empty for other entries."""
    event = event_in(entry, ClaimsGraded)
    return event.grades if event else ()
