"""Closes the convergence records of an op: computes grades, to be committed with the entry that causes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from governance.grounding.grading import READ, OpEnd, grade_at_end, grade_taken_back
from governance.grounding.trust import update_statements
from governance.record import Recorder
from ledger.events.grounding import ClaimMade, ClaimsGraded, Graded
from ledger.store import Ledger, Statement
from ledger.vocabulary import Draft, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Grades not yet written. ``beyond``: number of replies without a record."""

    grades: tuple[Graded, ...] = ()
    why: str = ""
    beyond: int = 0

    def drafts(self, record: Recorder, phase: State | None = None) -> Sequence[Draft]:
        """The grading entry, to append after the one that causes it; none without grades."""
        event = ClaimsGraded(why=self.why, grades=self.grades, beyond=self.beyond)
        return (record.draft(event, phase=phase),) if self.grades else ()

    @property
    def project(self) -> tuple[Statement, ...]:
        """Statements that update the trust table, to commit with it."""
        return update_statements(self.grades)


async def settle_claims(ledger: Ledger, op_id: str, end: OpEnd, why: str) -> Settlement:
    """Grades for all open records, at the end of an op."""
    grades, beyond = grade_at_end(await ledger.entries(op_id=op_id, events=READ), end)
    return Settlement(grades=grades, why=why, beyond=beyond)


async def take_back_claims(ledger: Ledger, op_id: str, why: str) -> Settlement:
    """Grades after an undo or the deletion of a review branch: hits become misses."""
    return Settlement(
        grades=grade_taken_back(await ledger.entries(op_id=op_id, events=(ClaimMade, ClaimsGraded))), why=why
    )
