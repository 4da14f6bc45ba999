"""How an op ended, what is recorded of it, and whether its signals are queued again."""

from __future__ import annotations

from dataclasses import dataclass

from governance.approval.inbox import ApprovalRequest
from governance.memory.lessons import Lessons
from governance.pipeline.dossier import Dossier
from governance.record import Recorder
from ledger.events.op import OutcomeRecorded
from ledger.vocabulary import FailureClass, Operation, OpOutcome, RootCause, State

REASON_KEPT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run of an op ended: with an outcome, or parked in a phase for approval (``request``)."""

    op: Operation
    dossier: Dossier
    state: State
    cause: RootCause = RootCause.NONE
    failure: FailureClass = FailureClass.NONE
    reason: str = ""
    request: ApprovalRequest | None = None

    @property
    def branch(self) -> str | None:
        """The review branch that holds the commit; None if it went elsewhere or there is none."""
        verification = self.dossier.verification
        if verification and verification.committed and verification.committed.mode == "review":
            return verification.committed.ref.removeprefix("refs/heads/")
        return None


def is_wanted_again(state: State, cause: RootCause) -> bool:
    """True when the signals of an op that ended this way are queued again.

    That is after a stop of the daemon or when the day's budget ran out. A CANCELLED op does not count as an attempt.
    """
    out_of_money = state is OpOutcome.CANCELLED and cause is RootCause.BUDGET_EXHAUSTED
    return cause is RootCause.CRASH_RECOVERED or out_of_money


async def record_outcome(ending: Ending, record: Recorder, lessons: Lessons, *, terminal: int) -> None:
    """Record the outcome of an op and learn from it. ``terminal``: sequence number of its terminal entry.

    This is all that COMPLETE does, and every other outcome does the same.
    """
    generation = ending.dossier.generation
    files = generation.candidate.paths if generation else ending.op.targets
    await record.note(
        OutcomeRecorded(
            success=ending.state is OpOutcome.COMPLETE,
            files=files,
            root_cause=ending.cause,
            failure_class=ending.failure,
            reason=ending.reason[:REASON_KEPT],
            tried=generation.tried if generation else 0,
            lesson=lessons.learn(ending.op, ending.state, ending.failure, files),
        ),
        phase=ending.state,
        causes=(terminal,),
    )
