"""What became of earlier ops, as a real ledger tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from governance.memory.memory import RepositoryMemory
from governance.memory.settings import MemorySettings
from governance.pipeline.dossier import Dossier
from governance.pipeline.ending import Ending, record_outcome
from governance.record import Recorder
from ledger.clock import ManualClock
from ledger.events.event import CLASSES
from ledger.events.session import SessionStarted
from ledger.store import Ledger
from ledger.vocabulary import EntryKind, FailureClass, Operation, OpOutcome, RootCause, State
from tests.governance.memory.pasts import NOW
from tests.governance.ops import operation

CART = "shop/cart.py"


class Diary:
    """Writes ends of ops as the daemon writes them."""

    def __init__(self, ledger: Ledger, clock: ManualClock) -> None:
        self.ledger, self.clock = ledger, clock
        self.memory = RepositoryMemory(ledger=ledger, clock=clock, settings=MemorySettings(lessons=True))

    async def ends(
        self, state: State, cause: RootCause = RootCause.NONE, failure: FailureClass = FailureClass.NONE,
        reason: str = "",
    ) -> Operation:  # fmt: skip
        op = operation(targets=(CART,))
        ending = Ending(op=op, dossier=Dossier(), state=state, cause=cause, failure=failure, reason=reason)
        await record_outcome(ending, Recorder(self.ledger, op_id=op.id), self.memory.lessons, terminal=1)
        return op

    async def says(self, op: Operation, event: str) -> None:
        await Recorder(self.ledger, op_id=op.id).note(CLASSES[EntryKind.OUTCOME, event](commit="c"))

    async def outcomes(self) -> tuple[int, int, int]:
        (reputation,) = await self.memory.reputations((CART,))
        return reputation.outcomes, reputation.good // 10_000, reputation.taken_back // 10_000


@pytest.fixture
async def diary(tmp_path: Path) -> AsyncIterator[Diary]:
    clock = ManualClock(NOW)
    ledger = await Ledger.open(tmp_path / "l.sqlite3", repo_id="0123456789ab", clock=clock)
    await Recorder(ledger).note(SessionStarted())  # what ends of ops point back to
    yield Diary(ledger, clock)
    await ledger.close()


async def test_the_last_word_on_an_op_counts(diary: Diary) -> None:
    kept, undone, deleted, merged = [await diary.ends(OpOutcome.COMPLETE) for _ in range(4)]
    assert await diary.outcomes() == (4, 4, 0)
    await diary.says(undone, "undone")
    await diary.says(deleted, "review.rejected")
    await diary.says(merged, "review.rejected")
    await diary.says(merged, "review.merged")
    assert await diary.outcomes() == (4, 2, 2) and kept.id
    await diary.says(operation(), "undone")  # of an op that nothing is known of
    assert await diary.outcomes() == (4, 2, 2)


async def test_only_what_says_something_about_the_file_counts(diary: Diary) -> None:
    await diary.ends(OpOutcome.POSTMORTEM, RootCause.TIMEOUT, FailureClass.INFRA)
    await diary.ends(OpOutcome.POSTMORTEM, RootCause.PROVIDER_UNAVAILABLE, FailureClass.PROVIDER)
    await diary.ends(OpOutcome.CANCELLED, RootCause.CANCELLED_BY_OWNER, FailureClass.USER)
    await diary.ends(OpOutcome.CANCELLED, RootCause.APPROVAL_EXPIRED, FailureClass.USER)
    await diary.ends(OpOutcome.NOOP)
    await diary.ends(OpOutcome.BLOCKED, RootCause.BLOCKED_PATH, FailureClass.POLICY)
    assert await diary.outcomes() == (0, 0, 0)
    await diary.ends(OpOutcome.POSTMORTEM, RootCause.TESTS_FAILED, FailureClass.TEST)
    await diary.ends(OpOutcome.CANCELLED, RootCause.APPROVAL_REJECTED, FailureClass.USER, "wrong rounding")
    assert await diary.outcomes() == (2, 0, 1)


async def test_a_model_is_told_why_and_for_a_week(diary: Diary) -> None:
    await diary.ends(OpOutcome.CANCELLED, RootCause.APPROVAL_REJECTED, FailureClass.USER, "we round half to even")
    diary.clock.advance(timedelta(days=1, hours=1).total_seconds())
    await diary.ends(OpOutcome.COMPLETE)
    assert await diary.memory.advice((CART,)) == (
        f"yesterday, a change of {CART} was turned down: we round half to even",
    )
    assert await diary.memory.advice(("shop/tax.py",)) == ()
    diary.clock.advance(timedelta(days=7).total_seconds())
    assert await diary.memory.advice((CART,)) == ()


async def test_lessons_have_to_keep_up_with_what_earlier_boots_came_to(diary: Diary) -> None:
    for _ in range(3):
        await diary.ends(OpOutcome.COMPLETE)
        await diary.ends(OpOutcome.POSTMORTEM, RootCause.TESTS_FAILED, FailureClass.TEST)
    for good, kept in ((5, True), (4, False)):
        memory = RepositoryMemory(ledger=diary.ledger, clock=diary.clock, settings=MemorySettings(lessons=True))
        await memory.load()
        ends = [OpOutcome.POSTMORTEM] + [OpOutcome.COMPLETE] * good + [OpOutcome.POSTMORTEM] * (10 - good)
        for state in ends:
            memory.lessons.learn(operation(), state, FailureClass.CODE, ())
        assert bool(memory.taught()) is kept


async def test_what_is_switched_off_says_nothing(diary: Diary) -> None:
    await diary.ends(OpOutcome.POSTMORTEM, RootCause.TESTS_FAILED, FailureClass.TEST, "red")
    off = MemorySettings(reputation=False, history=False, lessons=False)
    memory = RepositoryMemory(ledger=diary.ledger, clock=diary.clock, settings=off)
    assert (await memory.reputations((CART,)), await memory.advice((CART,)), memory.taught()) == ((), (), ())
    assert len(diary.memory.taught()) == 1
