"""Closing the records of an op: grades are read from its entries and land with the one that they follow from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from governance.grounding.grading import READ, End, at_end, taken_back
from governance.grounding.records import GRADED, Graded, graded_payload
from governance.grounding.trust import statements
from governance.record import Recorder
from ledger.store import Ledger, Statement
from ledger.vocabulary import Draft, EntryKind, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Grades that are not written yet. ``beyond``: replies that have no record of their own."""

    grades: tuple[Graded, ...] = ()
    why: str = ""
    beyond: int = 0

    def drafts(self, record: Recorder, phase: State | None = None) -> Sequence[Draft]:
        """The entry, to land behind the one that says what happened."""
        if not self.grades:
            return ()
        facts = graded_payload(self.grades, self.why, beyond=self.beyond)
        return (record.draft(EntryKind.GROUNDING, GRADED, phase=phase, **facts),)

    @property
    def project(self) -> tuple[Statement, ...]:
        """What moves the table of trust, to land with it."""
        return statements(self.grades)


async def settle(ledger: Ledger, op_id: str, end: End, why: str) -> Settled:
    """For the terminal entry of an op: every record that is open gets its grade."""
    grades, beyond = at_end(await ledger.entries(op_id=op_id, kinds=READ), end)
    return Settled(grades=grades, why=why, beyond=beyond)


async def take_back(ledger: Ledger, op_id: str, why: str) -> Settled:
    """For an undo, and for a review branch that is deleted: what counted as a hit is a miss."""
    return Settled(grades=taken_back(await ledger.entries(op_id=op_id, kinds=(EntryKind.GROUNDING,))), why=why)
