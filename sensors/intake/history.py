"""The ops of the last day, as the governor counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from pydantic import Field

from ledger.clock import unstamp
from ledger.vocabulary import Frozen, Operation, OpOutcome, RootCause, Source

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


class Begun(Frozen):
    """One op that was handed out. ``outcome`` is None while it runs."""

    op_id: str
    source: Source
    at: str
    again: bool = False  # its signals were tried before
    outcome: OpOutcome | None = None
    cause: RootCause = RootCause.NONE

    @classmethod
    def of(cls, op: Operation) -> Begun:
        return cls(op_id=op.id, source=op.origin, at=op.created_at, again=op.attempt > 1)

    @cached_property
    def moment(self) -> datetime:
        """``at``: a decision asks each op of the day for it."""
        return unstamp(self.at)

    @property
    def failed(self) -> bool:
        """It ended without a result, and not because the daemon was stopped or killed."""
        return self.outcome is OpOutcome.POSTMORTEM and self.cause is not RootCause.CRASH_RECOVERED


class Tally(Frozen):
    """Counts of the last hour. An op that still runs counts as a change to come."""

    ops: int = 0
    by_source: dict[Source, int] = Field(default_factory=dict)
    again: dict[Source, int] = Field(default_factory=dict)
    changes: int = 0
    changes_by_source: dict[Source, int] = Field(default_factory=dict)
    ended: int = 0
    failed: int = 0
    oldest: datetime | None = None  # of those counted; a count falls an hour after it


def tally(begun: Iterable[Begun], now: datetime) -> Tally:
    """Count what began within the hour before ``now``. Pure."""
    recent = [each for each in begun if each.moment > now - HOUR]
    changing = [each for each in recent if each.outcome in (None, OpOutcome.COMPLETE)]
    return Tally(
        ops=len(recent),
        by_source=Counter(each.source for each in recent),
        again=Counter(each.source for each in recent if each.again),
        changes=len(changing),
        changes_by_source=Counter(each.source for each in changing),
        ended=sum(each.outcome is not None for each in recent),
        failed=sum(each.failed for each in recent),
        oldest=min((each.moment for each in recent), default=None),
    )


class IntakeHistory:
    """Kept in memory for a day; the table ``intake_ops`` has it for the next boot."""

    def __init__(self) -> None:
        self._begun: dict[str, Begun] = {}
        self._counted: Tally | None = None

    def fill(self, rows: Iterable[Begun]) -> None:
        """What an earlier boot has left."""
        self._begun = {row.op_id: row for row in rows}
        self._counted = None

    def began(self, op: Operation) -> None:
        self._begun[op.id] = Begun.of(op)
        self._counted = None

    def forget(self, op_id: str) -> None:
        """It never acted."""
        self._begun.pop(op_id, None)
        self._counted = None

    def ended(self, op_id: str, facts: Mapping[str, Any]) -> None:
        """``facts`` of the step that ended it."""
        if op_id in self._begun:
            update = {"outcome": OpOutcome(facts["outcome"]), "cause": RootCause(facts["cause"])}
            self._begun[op_id] = self._begun[op_id].model_copy(update=update)
        self._counted = None

    def day(self, now: datetime) -> tuple[Begun, ...]:
        """Oldest first; what is older than a day is let go."""
        old = [op_id for op_id, each in self._begun.items() if each.moment <= now - DAY]
        for op_id in old:
            del self._begun[op_id]
        return tuple(self._begun.values())

    def hour(self, now: datetime) -> Tally:
        """Counted again only when an op came, went, or left the hour."""
        known = self._counted
        if known is None or (known.oldest is not None and known.oldest <= now - HOUR):
            known = self._counted = tally(self.day(now), now)
        return known
