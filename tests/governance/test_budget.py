"""Ceilings are asked before the spend, by several ops at once, and outlive the daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.budget import Budget, BudgetSettings, estimate
from governance.record import Recorder
from kernel.provider import Price, Usage
from ledger.clock import ManualClock
from ledger.errors import BudgetExhausted
from ledger.events.model import CallEnded
from ledger.store import Ledger

PRICE = Price(input=1_000_000, output=2_000_000)  # one micro-dollar a token in, two a token out
CEILINGS = BudgetSettings(per_call_usd_micro=100, per_op_usd_micro=150, per_day_usd_micro=250, per_op_tokens=1_000)


async def made(ledger: Ledger, clock: ManualClock, **ceilings: object) -> Budget:
    budget = Budget(ledger=ledger, clock=clock, settings=CEILINGS.model_copy(update=ceilings))
    await budget.prepare()
    return budget


async def hold(budget: Budget, tokens_in: int, *, op: str = "op-1", price: Price | None = PRICE, at: str = "p") -> int:
    ticket, _ = await budget.reserve(
        provider=at, price=price, op_id=op, route="STANDARD", phase="GENERATE", tokens_in=tokens_in, tokens_out=0
    )
    return ticket


async def spend(budget: Budget, ledger: Ledger, tokens_in: int, *, op: str = "op-1", at: str = "p") -> None:
    """A whole call: held, settled, durable."""
    ticket = await hold(budget, tokens_in, op=op, at=at)
    _, row = budget.settle(ticket, Usage(tokens_in=tokens_in), PRICE)
    await Recorder(ledger, op_id=op).note(CallEnded(), project=(row,))
    budget.release(ticket)


async def refused(budget: Budget, tokens_in: int, *, op: str = "op-1", price: Price | None = PRICE) -> str:
    with pytest.raises(BudgetExhausted) as error:
        await hold(budget, tokens_in, op=op, price=price)
    assert error.value.remedy
    return error.value.ceiling


@pytest.mark.parametrize(
    ("spent", "asked", "op", "ceiling"),
    [
        (0, 101, "op-1", "gate07.per_call"),
        (80, 71, "op-1", "gate07.per_op"),
        (100, 60, "op-1", "gate07.per_op"),
    ],
)
async def test_each_ceiling_is_named(
    ledger: Ledger, clock: ManualClock, spent: int, asked: int, op: str, ceiling: str
) -> None:
    budget = await made(ledger, clock)
    if spent:
        await spend(budget, ledger, spent)
    assert await refused(budget, asked, op=op) == ceiling
    await hold(budget, asked - 30, op=op)


async def test_the_day_is_shared_by_all_ops_and_ends_at_midnight(ledger: Ledger, clock: ManualClock) -> None:
    budget = await made(ledger, clock)
    for number in range(5):
        await spend(budget, ledger, 50, op=f"op-{number}")
    assert await refused(budget, 1, op="op-9") == "gate07.per_day"
    assert await budget.exhausted()
    assert budget.seconds_to_midnight() == 12 * 3600
    clock.advance(12 * 3600)
    assert not await budget.exhausted()
    await hold(budget, 1, op="op-9")


async def test_a_provider_has_a_day_of_its_own(ledger: Ledger, clock: ManualClock) -> None:
    budget = await made(ledger, clock, per_provider_day_usd_micro={"p": 40})
    await spend(budget, ledger, 90, op="op-2", at="q")
    await spend(budget, ledger, 30)
    assert await refused(budget, 11) == "gate07.per_provider"
    await hold(budget, 11, at="q")


async def test_an_unknown_price_is_denied_and_a_free_one_is_not(ledger: Ledger, clock: ManualClock) -> None:
    budget = await made(ledger, clock, per_call_usd_micro=0, per_op_usd_micro=0, per_day_usd_micro=0)
    assert await refused(budget, 1, price=None) == "gate07.unknown_price"
    await hold(budget, 1, price=Price(input=0, output=0))


async def test_tokens_of_an_op_have_a_ceiling_even_when_they_are_free(ledger: Ledger, clock: ManualClock) -> None:
    budget = await made(ledger, clock)
    free = Price(input=0, output=0)
    assert await refused(budget, 1_001, price=free) == "per_op_tokens"
    ticket = await hold(budget, 600, price=free)
    _, row = budget.settle(ticket, Usage(tokens_in=500, tokens_out=100), free)
    await Recorder(ledger, op_id="op-1").note(CallEnded(), project=(row,))
    budget.release(ticket)
    assert await refused(budget, 401, price=free) == "per_op_tokens"
    await hold(budget, 400, price=free)


async def test_calls_that_are_under_way_count(ledger: Ledger, clock: ManualClock) -> None:
    budget = await made(ledger, clock)
    ticket = await hold(budget, 100)
    assert await refused(budget, 51) == "gate07.per_op"
    budget.release(ticket)
    await hold(budget, 51)


async def test_ops_that_ask_at_the_same_time_do_not_pass_the_ceiling_together(
    ledger: Ledger, clock: ManualClock
) -> None:
    budget = await made(ledger, clock)
    asked = [hold(budget, 100, op=f"op-{number}") for number in range(8)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    allowed = [a for a in answers if isinstance(a, int)]
    assert len(allowed) == 2
    assert all(isinstance(a, int | BudgetExhausted) for a in answers)


async def test_a_call_that_is_being_settled_is_not_forgotten(ledger: Ledger, clock: ManualClock) -> None:
    """Between the settlement and its durable row another op must still see the money."""
    budget = await made(ledger, clock)
    for number in range(2):
        ticket = await hold(budget, 100, op=f"op-{number}")
        budget.settle(ticket, Usage(tokens_in=100), PRICE)
    assert await refused(budget, 60, op="op-9") == "gate07.per_day"


async def test_what_was_spent_survives_a_restart(ledger: Ledger, clock: ManualClock, tmp_path: Path) -> None:
    await spend(await made(ledger, clock), ledger, 90)
    await ledger.close()
    again = await Ledger.open(tmp_path / "ledger.sqlite3", repo_id="0123456789ab", clock=clock)
    try:
        budget = await made(again, clock)
        mine = await budget.spent_by("op-1")
        assert (mine.usd_micro, mine.tokens_in, mine.calls) == (90, 90, 1)
        assert await budget.spent_today() == 90
        assert await refused(budget, 61) == "gate07.per_op"
        assert await budget.table() == [("2026-01-01", "p", "STANDARD", "op-1", 90, 90, 0, 1)]
    finally:
        await again.close()


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**9), st.integers(0, 10**9))
@settings(deadline=None, max_examples=60)
def test_an_estimate_is_never_less_than_the_cost(
    tokens_in: int, tokens_out: int, price_in: int, price_out: int
) -> None:
    asked = estimate(Price(input=price_in, output=price_out), tokens_in, tokens_out)
    assert asked is not None
    assert 0 <= asked * 1_000_000 - (tokens_in * price_in + tokens_out * price_out) < 1_000_000
    assert estimate(None, tokens_in, tokens_out) is None
