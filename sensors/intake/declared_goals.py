"""The owner's declared goals: read from the file in HEAD whenever HEAD moves, and recorded with decisions on them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import Any

from ledger.canonical import canonical
from ledger.clock import Clock
from ledger.errors import OuroError
from ledger.ids import sha256_hex
from ledger.vocabulary import Signal
from sensors.intake.goals import PATH, Alignment, BadGoals, GoalFacts, Goals, alignment, goals_of
from sensors.ports import CommittedFilesPort, Redact

NONE = Goals()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentRecord:
    """An alignment for the ledger: ``fields`` of the decision's entry, and the blob of goals that they name by hash."""

    points: int
    blob: bytes
    fields: dict[str, Any]


class DeclaredGoals:
    """The goals of the latest commit, and how far signals serve them. An unreadable file counts as no goals;
    :attr:`problem` has the reason.
    """

    def __init__(self, *, files: CommittedFilesPort | None, clock: Clock, redact: Redact = str) -> None:
        self.problem = ""
        self._files = files
        self._clock = clock
        self._redact = redact
        self._goals = NONE
        self._read_at: str | None = None  # commit
        self._day: date | None = None

    async def refresh(self, head: str | None) -> bool:
        """Read the goals at HEAD. True when alignments may have changed: other goals, or another day."""
        before, day = self._goals, self._today()
        if head is not None and head != self._read_at and self._files is not None:
            await self._read(self._files, head)
        changed = self._goals != before or (self._goals != NONE and day != self._day)
        self._day = day
        return changed

    async def _read(self, files: CommittedFilesPort, head: str) -> None:
        try:
            data = (await files.read_many(head, [PATH])).get(PATH)
        except OuroError as error:  # read again at the next commit
            self._goals, self.problem = NONE, f"{PATH} cannot be read: {error}"
        else:
            await asyncio.to_thread(self._parse, data)
        self._read_at = head

    def _parse(self, data: bytes | None) -> None:
        try:
            self._goals, self.problem = (goals_of(data, self._redact) if data is not None else NONE), ""
        except BadGoals as error:
            self._goals, self.problem = NONE, f"{PATH} is ignored: {error}"

    def align(self, signal: Signal) -> Alignment:
        """How far a signal serves the goals, as of the last ``refresh``."""
        return alignment(self._goals, self._facts(signal)) if self._goals != NONE else Alignment()

    def fields_for(self, signal: Signal) -> AlignmentRecord | None:
        """What is recorded with a decision, so that its alignment can be replayed; None without goals."""
        if self._goals == NONE:
            return None
        goals, facts = self._goals, self._facts(signal)
        found = alignment(goals, facts)
        blob = canonical(goals.model_dump(mode="json"))
        fields = {"facts": facts.model_dump(mode="json"), "goals": sha256_hex(blob), "why": found.why}
        return AlignmentRecord(points=found.points, blob=blob, fields=fields)

    def _facts(self, signal: Signal) -> GoalFacts:
        return GoalFacts.of(signal, self._day or self._today())

    def _today(self) -> date:
        return self._clock.now().date()
