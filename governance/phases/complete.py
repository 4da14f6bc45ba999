"""COMPLETE and the other terminal states: record the outcome and update the lessons."""

from __future__ import annotations

from governance.dossier import Dossier
from governance.memory.lessons import Lessons
from governance.record import Recorder
from governance.result import PhaseResult
from ledger.vocabulary import EntryKind, Operation, State

REASON_KEPT = 500


async def record_outcome(
    op: Operation, dossier: Dossier, record: Recorder, lessons: Lessons, result: PhaseResult, terminal: int
) -> None:
    """Record the outcome of an op that has ended. ``terminal``: sequence number of its terminal entry."""
    state = result.next
    files = dossier.generation.candidate.paths if dossier.generation else op.targets
    lesson = lessons.learn(op, state, result.failure, files)
    await record.note(
        EntryKind.OUTCOME,
        "outcome",
        phase=state,
        success=state is State.COMPLETE,
        files=list(files),
        root_cause=result.cause.value,
        failure_class=result.failure.value,
        reason=result.reason[:REASON_KEPT],
        tried=dossier.generation.tried if dossier.generation else 0,
        lesson=lesson,
        causes=(terminal,),
    )
