"""COMPLETE, and every other end: the outcome is recorded and memory is told."""

from __future__ import annotations

from governance.dossier import Dossier
from governance.lessons import Lessons
from governance.record import Recorder
from ledger.vocabulary import EntryKind, FailureClass, Operation, State


async def record_outcome(
    op: Operation, dossier: Dossier, record: Recorder, lessons: Lessons, state: State, failure: FailureClass, cause: int
) -> None:
    """Write the outcome of an op that has just ended; ``cause`` is the sequence number of its terminal entry."""
    files = dossier.generation.candidate.paths if dossier.generation else op.targets
    lesson = lessons.learn(op, state, failure, files)
    await record.note(
        EntryKind.OUTCOME,
        "outcome",
        phase=state,
        success=state is State.COMPLETE,
        files=list(files),
        tried=dossier.generation.tried if dossier.generation else 0,
        lesson=lesson,
        causes=(cause,),
    )
