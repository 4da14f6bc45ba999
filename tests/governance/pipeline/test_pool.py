"""What becomes of an op around its phases: money that runs out, answers of a person, what is remembered of its end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from daemon.views.narrate import narrate
from governance.approval.inbox import ApprovalRequest
from governance.irongate.op.g19_recursion import diff_hash
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import Dossier
from governance.pipeline.phase import PhaseResult, PhaseRun, ResultKind, retry
from governance.pipeline.routes import ClockSettings
from governance.pipeline.work_reports import KEPT_ENDINGS
from governance.record import Recorder
from governance.settings import ApprovalSettings, GovernanceSettings, PipelineSettings
from kernel.provider import Limits, Message, Usage
from ledger.clock import ManualClock, unstamp
from ledger.events.model import CallEnded
from ledger.store import Ledger
from ledger.vocabulary import Entry, EntryKind, FailureClass, Operation, OpOutcome, Phase, RootCause, Spend
from tests.governance.ops import operation
from tests.governance.shopfloor import PRICE, WANTED, Floor, Priced, onward, with_candidate, working

DAY = {"per_call_usd_micro": 100, "per_op_usd_micro": 1_000, "per_day_usd_micro": 250}


async def thinks(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    """GENERATE that asks the model once; the call is estimated at 100 micro-dollars."""
    await ctx.client.turn(
        Phase.GENERATE, "test", [Message(role="user", text="x" * 360)], limits=Limits(max_tokens=10)
    )  # fmt: skip
    return await with_candidate(op, dossier, ctx)


async def until(floor: Floor, count: int) -> None:
    """Until that many ops were given back."""
    async with asyncio.timeout(5):
        while len(floor.feed.finished) < count:
            floor.feed.changed.clear()
            await floor.feed.changed.wait()


async def day_spent(ledger: Ledger) -> list[Entry]:
    told = await ledger.entries(kinds=(EntryKind.SESSION,))
    return [e for e in told if e.payload["event"] == "budget.day_spent"]


# --- money ---


async def test_an_op_for_which_the_days_money_runs_out_goes_back_into_the_queue(
    ledger: Ledger, clock: ManualClock
) -> None:
    """CANCELLED and asked for again: the router counts no attempt, and nothing more is handed out this day."""
    first, second = operation(), operation()
    async with working(
        ledger, clock, phases={Phase.GENERATE: thinks, Phase.APPROVE: onward()}, provider=Priced(100),
        ceilings=DAY | {"per_day_usd_micro": 150},
    ) as floor:  # fmt: skip
        floor.feed.waiting.put_nowait(first)
        assert (await floor.ended()).state is OpOutcome.COMPLETE
        floor.feed.waiting.put_nowait(second)
        ending = await floor.ended()
        assert (ending.state, ending.cause) == (OpOutcome.CANCELLED, RootCause.BUDGET_EXHAUSTED)
        assert ending.failure is FailureClass.BUDGET
        assert floor.feed.finished[-1] == (second.id, OpOutcome.CANCELLED, RootCause.BUDGET_EXHAUSTED, True)
        floor.feed.waiting.put_nowait(second)  # 50 of 150 are left: not enough, and so it is not taken up again
        await asyncio.sleep(0.05)
        assert len(floor.feed.finished) == 2 and len(await day_spent(ledger)) == 1
        assert floor.feed.waiting.qsize() == 1


async def test_a_ceiling_that_no_day_lifts_ends_the_op(ledger: Ledger, clock: ManualClock) -> None:
    async with working(
        ledger, clock, phases={Phase.GENERATE: thinks}, provider=Priced(100), ceilings=DAY | {"per_day_usd_micro": 90}
    ) as floor:
        op = operation()
        floor.feed.waiting.put_nowait(op)
        ending = await floor.ended()
        assert (ending.state, ending.cause) == (OpOutcome.POSTMORTEM, RootCause.BUDGET_EXHAUSTED)
        assert floor.feed.finished == [(op.id, OpOutcome.POSTMORTEM, RootCause.BUDGET_EXHAUSTED, False)]


async def test_work_goes_on_after_midnight(ledger: Ledger) -> None:
    clock = ManualClock(datetime(2026, 1, 1, 23, 59, 59, 950_000, tzinfo=UTC))
    async with working(
        ledger, clock, phases={Phase.GENERATE: thinks, Phase.APPROVE: onward()}, provider=Priced(100),
        ceilings=DAY | {"per_day_usd_micro": 150},
    ) as floor:  # fmt: skip
        for _ in range(2):
            floor.feed.waiting.put_nowait(operation())
        assert (await floor.ended()).state is OpOutcome.COMPLETE
        assert (await floor.ended()).state is OpOutcome.CANCELLED
        floor.feed.waiting.put_nowait(operation())
        clock.advance(1)
        assert (await floor.ended()).state is OpOutcome.COMPLETE


async def test_an_op_that_was_waited_for_until_the_money_was_gone_is_given_back_unstarted(
    ledger: Ledger, clock: ManualClock
) -> None:
    async with working(ledger, clock, ceilings=DAY) as floor:
        await asyncio.sleep(0.01)  # the worker waits in next() by now
        await spend(floor, 250)
        op = operation()
        floor.feed.waiting.put_nowait(op)
        await until(floor, 1)
        assert floor.feed.finished == [(op.id, OpOutcome.CANCELLED, RootCause.BUDGET_EXHAUSTED, True)]
        assert floor.feed.steps == [] and await floor.told(op, "op.started") == []


async def spend(floor: Floor, usd_micro: int, op_id: str = "op-x") -> None:
    ticket, _ = await floor.budget.reserve(
        provider="p", price=PRICE, op_id=op_id, route="STANDARD", phase="GENERATE", tokens_in=1, tokens_out=0
    )
    _, row = floor.budget.settle(ticket, Usage(tokens_in=usd_micro), PRICE)
    await Recorder(floor.ledger).note(CallEnded(), project=(row,))
    floor.budget.release(ticket)


# --- a person's answer ---


async def parked(floor: Floor, op: Operation) -> ApprovalRequest:
    floor.feed.waiting.put_nowait(op)
    ending = await floor.ended()
    assert ending.request is not None, ending.reason
    return ending.request


async def test_the_owners_cancel_of_a_parked_op_is_no_verdict_on_its_diff(ledger: Ledger, clock: ManualClock) -> None:
    async with working(ledger, clock) as floor:
        op = operation()
        await parked(floor, op)
        await floor.pool.cancel(op.id, "cancelled by the owner")
        ending = await floor.ended()
        assert (ending.state, ending.cause) == (OpOutcome.CANCELLED, RootCause.CANCELLED_BY_OWNER)
        assert await floor.refused.hashes() == ()
        assert await floor.inbox.pending() == ()
        (terminal,) = await floor.told(op, "terminal")
        assert (terminal.payload["root_cause"], terminal.payload["reason"]) == (
            "cancelled_by_owner", "cancelled by the owner",
        )  # fmt: skip
        assert floor.feed.finished == [(op.id, OpOutcome.CANCELLED, RootCause.CANCELLED_BY_OWNER, False)]


async def test_a_no_refuses_the_diff_and_leaves_an_outcome_with_what_the_op_cost(
    ledger: Ledger, clock: ManualClock
) -> None:
    async with working(
        ledger, clock, phases={Phase.GENERATE: works_for(7, thinks)}, provider=Priced(100), ceilings=DAY
    ) as floor:
        op = operation()
        await parked(floor, op)
        await floor.pool.decide(op.id, "rejected", by="owner", reason="not my style")
        ending = await floor.ended()
        assert (ending.state, ending.cause) == (OpOutcome.CANCELLED, RootCause.APPROVAL_REJECTED)
        assert await floor.refused.hashes() == (diff_hash(WANTED),)
        (terminal,), (outcome,) = await floor.told(op, "terminal"), await floor.told(op, "outcome")
        assert outcome.causes == (terminal.seq,) and outcome.payload["success"] is False
        assert outcome.payload["files"] == ["shop/cart.py"]
        (said,) = await floor.told(op, "approval.rejected")
        cost = Spend(usd_micro=100, tokens_in=100, calls=1, working_ms=7_000)
        assert (said.spend, terminal.spend, outcome.spend) == (cost, cost, cost)
        assert terminal.payload["ms"] == round(1000 * (clock.now() - unstamp(op.created_at)).total_seconds())


async def test_nobodys_answer_leaves_an_outcome_too(ledger: Ledger, clock: ManualClock) -> None:
    quick = GovernanceSettings(approval=ApprovalSettings(timeout_s=1))
    async with working(ledger, clock, settings=quick) as floor:
        op = operation()
        await parked(floor, op)
        assert (await floor.ended()).cause is RootCause.APPROVAL_EXPIRED
        assert len(await floor.told(op, "outcome")) == 1


def works_for(seconds: float, then: PhaseRun) -> PhaseRun:
    """The phase with so much working time, by the clock of the test."""

    async def phase(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
        assert isinstance(ctx.services.clock, ManualClock)
        ctx.services.clock.advance(seconds)
        return await then(op, dossier, ctx)

    return phase


async def test_the_time_before_a_yes_counts_and_the_waiting_does_not(ledger: Ledger, clock: ManualClock) -> None:
    """An op with one second of working time that has used most of it before it was parked."""
    left: list[float] = []

    async def slow(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
        await asyncio.sleep(0.6)
        return await with_candidate(op, dossier, ctx)

    async def endless(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
        left.append(ctx.clock.remaining_s())
        await asyncio.sleep(10)
        raise AssertionError("the op's time was over long ago")

    settings = GovernanceSettings(clocks=ClockSettings(op_s=1, op_complex_s=1))
    phases = {Phase.GENERATE: works_for(3, slow), Phase.APPLY: endless}
    async with working(ledger, clock, phases=phases, settings=settings) as floor:
        op = operation()
        request = await parked(floor, op)
        assert request.left_ms is not None and 0 < request.left_ms <= 400
        assert (await floor.inbox.pending()) == (request,)
        await asyncio.sleep(0.5)
        await floor.pool.decide(op.id, "approved", by="owner")
        ending = await floor.ended()
        assert ending.cause is RootCause.TIMEOUT and "(gate09.ceiling)" in ending.reason, ending.reason
        assert 0 < left[0] <= 0.4
        (terminal,) = await floor.told(op, "terminal")
        assert terminal.spend.working_ms == 3_000 and "gate09.ceiling" in (narrate(terminal) or "")


# --- what is remembered ---


async def test_endings_that_nobody_reads_do_not_pile_up(ledger: Ledger, clock: ManualClock) -> None:
    async with working(ledger, clock, phases={Phase.CLASSIFY: onward(ResultKind.REFUSED)}) as floor:
        ops = [operation() for _ in range(KEPT_ENDINGS + 3)]
        for op in ops:
            floor.feed.waiting.put_nowait(op)
        await until(floor, len(ops))
        await asyncio.sleep(0)
        kept = [(await floor.ended()).op.id for _ in range(floor.reports.ended.qsize())]
        assert kept == [op.id for op in ops[3:]]


async def test_a_step_back_is_recorded_with_its_rule_and_bounded(ledger: Ledger, clock: ManualClock) -> None:
    async def again(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
        return retry(Phase.GENERATE, "generate.test", "not yet", RootCause.NO_CANDIDATE, FailureClass.CODE)

    settings = GovernanceSettings(pipeline=PipelineSettings(generate_retries=2))
    async with working(ledger, clock, phases={Phase.GENERATE: again}, settings=settings) as floor:
        op = operation()
        floor.feed.waiting.put_nowait(op)
        ending = await floor.ended()
        assert (ending.state, ending.cause) == (OpOutcome.POSTMORTEM, RootCause.NO_CANDIDATE)
        assert ending.reason == "not yet (generate.test); no retry is left"
        entered = [(e.phase, e.payload["rule"]) for e in await floor.told(op, "phase.entered")]
        assert entered[2:] == [(Phase.GENERATE, ""), *[(Phase.GENERATE, "generate.test")] * 2]


async def test_a_result_without_an_edge_ends_the_op_for_good(ledger: Ledger, clock: ManualClock) -> None:
    async with working(ledger, clock, phases={Phase.CLASSIFY: onward(ResultKind.STALE)}) as floor:
        floor.feed.waiting.put_nowait(operation())
        ending = await floor.ended()
        assert ending.state is OpOutcome.FAILED_PERMANENT and "no edge for the result stale" in ending.reason
