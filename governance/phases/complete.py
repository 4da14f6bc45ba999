"""COMPLETE and the other terminal states: record the outcome and update the lessons."""

from __future__ import annotations

from governance.memory.lessons import Lessons
from governance.pipeline.dossier import Dossier, PhaseResult
from governance.record import Recorder
from ledger.events.op import OutcomeRecorded
from ledger.vocabulary import Operation, State

REASON_KEPT = 500


async def record_outcome(
    op: Operation, dossier: Dossier, record: Recorder, lessons: Lessons, result: PhaseResult, terminal: int
) -> None:
    """Record the outcome of an op that has ended. ``terminal``: sequence number of its terminal entry."""
    state = result.next
    files = dossier.generation.candidate.paths if dossier.generation else op.targets
    lesson = lessons.learn(op, state, result.failure, files)
    await record.note(
        OutcomeRecorded(
            success=state is State.COMPLETE,
            files=files,
            root_cause=result.cause,
            failure_class=result.failure,
            reason=result.reason[:REASON_KEPT],
            tried=dossier.generation.tried if dossier.generation else 0,
            lesson=lesson,
        ),
        phase=state,
        causes=(terminal,),
    )
