"""A model's question to a person: it ends in one of four ways, each an entry; the answer is only an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from governance.approval.questions import Owner, Questions
from governance.pipeline.context import OpClock, OpContext, OpResources
from governance.record import Recorder
from governance.settings import ApprovalSettings, GovernanceSettings
from ledger.clock import ManualClock
from ledger.errors import ControlError, ToolError
from ledger.store import Ledger
from ledger.vocabulary import EntryKind, Spend
from tests.governance.ops import operation
from tests.governance.shopfloor import bare_shop

KEY = "AKIA" + "IOSFODNN7" + "QQWWEER"


class Desk:
    """Questions of one op, and what the record says of them."""

    def __init__(self, ledger: Ledger, clock: ManualClock, **settings: int) -> None:
        self.ledger = ledger
        self.settings = ApprovalSettings.model_validate(settings)
        self.questions = Questions(ledger=ledger, clock=clock, settings=self.settings)
        self.op = operation()
        self.record = Recorder(ledger, op_id=self.op.id, spend=Spend(usd_micro=5))

    async def events(self) -> list[str]:
        entries = await self.ledger.entries(op_id=self.op.id, kinds=(EntryKind.TOOL,))
        return [str(e.payload["event"]).partition(".")[2] for e in entries]

    async def left(self) -> int:
        ((count,),) = await self.ledger.query("SELECT count(*) FROM questions")
        return int(str(count))

    @asynccontextmanager
    async def asking(self, text: str = "Which?", *choices: str) -> AsyncIterator[asyncio.Task[str | None]]:
        """A question that is on record and waits, until the block ends."""
        task = asyncio.create_task(self.questions.ask(self.record, text, choices))
        async with asyncio.timeout(5), self.ledger.subscribe() as coming:
            if not await self.left():
                async for entry in coming:
                    if entry.payload.get("event") == "question.asked":
                        break
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def desk(ledger: Ledger, clock: ManualClock) -> Desk:
    made = Desk(ledger, clock)
    await made.questions.prepare()
    return made


@pytest.mark.parametrize(
    ("text", "answer"), [("half up", "half up"), (" 2 ", "half even"), ("3", "3"), ("0", "0"), ("\u0662", "\u0662")]
)
async def test_the_answer_reaches_who_asked(desk: Desk, text: str, answer: str) -> None:
    async with desk.asking("How is it rounded?", "half up", "half even") as task:
        question = desk.questions.find(desk.op.id)
        assert question is not None and question == desk.questions.find(question.id)
        assert question.expires_at == "2026-01-01T12:10:00.000Z"
        await desk.questions.answer(question.id, text, by="owner")
        assert await task == answer
    assert await desk.events() == ["asked", "answered"] and await desk.left() == 0
    (entry, *_) = await desk.ledger.entries(op_id=desk.op.id, newest_first=True)
    assert (entry.payload["answer"], entry.payload["by"], entry.spend.usd_micro) == (answer, "owner", 5)
    with pytest.raises(ControlError, match="asks nothing"):
        await desk.questions.answer(question.id, text, by="owner")


async def test_nobody_there_is_an_end_too(ledger: Ledger, clock: ManualClock) -> None:
    desk = Desk(ledger, clock, timeout_s=1)
    await desk.questions.prepare()
    async with desk.asking() as task:
        assert await asyncio.wait_for(task, 5) is None
    assert await desk.events() == ["asked", "expired"] and await desk.left() == 0


async def test_a_stopped_op_withdraws_its_question(desk: Desk) -> None:
    async with desk.asking() as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await desk.events() == ["asked", "withdrawn"] and await desk.left() == 0
        with pytest.raises(ControlError):
            await desk.questions.answer(desk.op.id, "late", by="owner")


async def test_a_question_of_a_dead_daemon_is_ended_at_boot(desk: Desk, clock: ManualClock) -> None:
    await desk.ledger.append(*[], project=(("INSERT INTO questions VALUES ('q-000001', ?)", (desk.op.id,)),))
    again = Questions(ledger=desk.ledger, clock=clock, settings=desk.settings)
    await again.prepare()
    assert await desk.events() == ["ended"] and await desk.left() == 0
    assert again.find(desk.op.id) is None


async def test_one_question_at_a_time(desk: Desk) -> None:
    async with desk.asking():
        with pytest.raises(ToolError, match="waits already"):
            await desk.questions.ask(desk.record, "And?", ())
        assert desk.questions.find(desk.op.id) is not None


async def test_two_answers_are_one(desk: Desk) -> None:
    async with desk.asking() as task:
        said = await asyncio.gather(
            *(desk.questions.answer(desk.op.id, text, by="owner") for text in "ab"), return_exceptions=True
        )
        assert [isinstance(each, ControlError) for each in said] == [False, True]
        assert await task == "a"
    assert await desk.events() == ["asked", "answered"]


async def test_no_secret_is_asked_or_kept(desk: Desk) -> None:
    async with desk.asking(f"Is {KEY} the key?", KEY) as task:
        question = desk.questions.find(desk.op.id)
        assert question is not None and KEY not in question.model_dump_json()
        await desk.questions.answer(desk.op.id, f"no, {KEY}", by="owner")
        await task
    assert KEY not in str(await desk.ledger.entries(op_id=desk.op.id))


def crew_of(desk: Desk, clock: ManualClock, op_clock: OpClock) -> OpContext:
    settings = GovernanceSettings(approval=desk.settings)
    nobody: Any = None
    services = bare_shop(clock, questions=desk.questions, settings=settings)
    return OpContext(services=services, record=desk.record, client=nobody, clock=op_clock, resources=OpResources())


async def test_an_op_asks_as_often_as_it_may(desk: Desk, clock: ManualClock) -> None:
    ctx = crew_of(desk, clock, OpClock(loop_time=0, limit_s=1))
    ctx.resources.questions_asked = 1
    with pytest.raises(ToolError, match=r"may ask 1 question"):
        await Owner(ctx).ask("Which?", ())
    assert await desk.events() == []


async def test_no_working_time_passes_while_a_person_thinks(desk: Desk, clock: ManualClock) -> None:
    loop = asyncio.get_running_loop()
    op_clock = OpClock(loop_time=loop.time(), limit_s=0.3)
    ctx = crew_of(desk, clock, op_clock)
    async with asyncio.timeout(0.3) as whole, op_clock.within(0.2) as part:
        op_clock.start(whole)
        before, inside = whole.when(), part.when()
        asking = asyncio.create_task(Owner(ctx).ask("Which?", ()))
        await asyncio.sleep(0.5)  # longer than either deadline
        assert whole.when() is None and part.when() is None
        await desk.questions.answer(desk.op.id, "this", by="owner")
        assert await asking == "this"
        after, again = whole.when(), part.when()
        assert before and inside and after and again
        assert after - before > 0.4 and again - inside > 0.4
        assert op_clock.started + 0.3 == pytest.approx(after)
