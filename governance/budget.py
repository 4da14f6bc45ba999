"""Spending ceilings per call, op, day and provider, checked before each model call. Persisted in the ledger."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import Field

from governance.irongate.op import g07_cost
from ledger.clock import Clock
from ledger.errors import BudgetExhausted
from ledger.vocabulary import Decision, Frozen, Spend, Verdict

if TYPE_CHECKING:
    from kernel.provider import Price, Usage
    from ledger.store import Ledger, Statement

SCHEMA = """
CREATE TABLE IF NOT EXISTS spend (
    day TEXT NOT NULL, provider TEXT NOT NULL, op_id TEXT NOT NULL, route TEXT NOT NULL, phase TEXT NOT NULL,
    usd_micro INTEGER NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS spend_day ON spend (day);
"""


class BudgetSettings(Frozen):
    """Ceilings in micro-dollars and tokens."""

    per_call_usd_micro: int = Field(100_000, ge=0, description="One model call may cost this much at most.")
    per_op_usd_micro: int = Field(250_000, ge=0, description="All model calls of one op.")
    per_day_usd_micro: int = Field(2_000_000, ge=0, description="All model calls of one day (UTC).")
    per_provider_day_usd_micro: dict[str, int] = Field(
        {}, description="Ceilings of single providers for one day, by name."
    )
    per_op_tokens: int = Field(2_000_000, ge=0, description="Tokens of one op, in and out.")


@dataclass(frozen=True, slots=True)
class Reservation:
    """The highest possible cost of a call in progress; settled when the call ends."""

    provider: str
    op_id: str
    route: str
    phase: str
    usd_micro: int


class DaySpent(BudgetExhausted):
    """The call does not fit into what is left of today's ceiling, but would on a fresh day."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """A call refused for lack of today's budget. ``provider``: whose daily ceiling; None: that of all together."""

    day: str
    provider: str | None
    ceiling: int
    usd_micro: int


def estimate(price: Price | None, tokens_in: int, max_tokens_out: int) -> int | None:
    """Highest possible cost of a call in micro-dollars; None when the price is unknown."""
    if price is None:
        return None
    return -(-(tokens_in * price.input + max_tokens_out * price.output) // 1_000_000)


class Budget:
    """Decides before each model call whether it fits the ceilings, and keeps what calls have cost."""

    def __init__(self, *, ledger: Ledger, clock: Clock, settings: BudgetSettings) -> None:
        self._ledger = ledger
        self._clock = clock
        self.settings = settings
        self._open: dict[int, Reservation] = {}
        self._next = 0
        self._unmet: Unmet | None = None
        self._freed = asyncio.Event()

    async def prepare(self) -> None:
        await self._ledger.ensure(SCHEMA)

    def _day(self) -> str:
        return self._clock.now().date().isoformat()

    async def spent_today(self, provider: str | None = None) -> int:
        """Micro-dollars spent on this UTC day, with one provider or with all."""
        sql = "SELECT COALESCE(SUM(usd_micro), 0) FROM spend WHERE day = ?"
        if provider is None:
            rows = await self._ledger.query(sql, (self._day(),))
        else:
            rows = await self._ledger.query(sql + " AND provider = ?", (self._day(), provider))
        return int(str(rows[0][0]))

    async def spent_by(self, op_id: str) -> Spend:
        rows = await self._ledger.query(
            "SELECT COALESCE(SUM(usd_micro), 0), COALESCE(SUM(tokens_in), 0), COALESCE(SUM(tokens_out), 0), COUNT(*)"
            " FROM spend WHERE op_id = ?",
            (op_id,),
        )
        usd, tokens_in, tokens_out, calls = (int(str(v)) for v in rows[0])
        return Spend(usd_micro=usd, tokens_in=tokens_in, tokens_out=tokens_out, calls=calls)

    async def reserve(
        self, *, provider: str, price: Price | None, op_id: str, route: str, phase: str, tokens_in: int, tokens_out: int
    ) -> tuple[int, Verdict]:
        """Reserve the estimated cost of a call; returns a ticket and gate 7's verdict.

        Raises ``BudgetExhausted`` naming the ceiling it would exceed; ``DaySpent`` when a fresh day has room for it.
        """
        asked = estimate(price, tokens_in, tokens_out)
        before = dict(self._open)
        mine = await self.spent_by(op_id)
        today, with_provider = await self.spent_today(), await self.spent_today(provider)
        # No await from here to the reservation, so that concurrent calls see each other's. Reservations from before
        # the queries count as well: they may have been settled after them.
        held = tuple({**before, **self._open}.values())
        tokens = mine.tokens_in + mine.tokens_out + tokens_in + tokens_out
        if tokens > self.settings.per_op_tokens:
            raise BudgetExhausted(
                f"The call was not made: the op would use {tokens} tokens of {self.settings.per_op_tokens}.",
                ceiling="per_op_tokens",
                remedy="The ceiling is budget.per_op_tokens in the owner's settings.",
            )
        verdict = g07_cost.check(
            g07_cost.CostFacts(
                cost=asked,
                op_spent=mine.usd_micro + sum(r.usd_micro for r in held if r.op_id == op_id),
                day_spent=today + sum(r.usd_micro for r in held),
                provider_spent=with_provider + sum(r.usd_micro for r in held if r.provider == provider),
                per_call=self.settings.per_call_usd_micro,
                per_op=self.settings.per_op_usd_micro,
                per_day=self.settings.per_day_usd_micro,
                per_provider=self.settings.per_provider_day_usd_micro.get(provider),
            )
        )
        if verdict.decision is not Decision.ALLOW:
            raise self._refusal(verdict, provider, asked)
        self._next += 1
        self._open[self._next] = Reservation(provider, op_id, route, phase, asked or 0)
        return self._next, verdict

    def _refusal(self, verdict: Verdict, provider: str, asked: int | None) -> BudgetExhausted:
        """The error for a refused call. A call that a fresh day has room for is remembered as unmet."""
        days: dict[str, tuple[str | None, int | None]] = {
            "gate07.per_day": (None, self.settings.per_day_usd_micro),
            "gate07.per_provider": (provider, self.settings.per_provider_day_usd_micro.get(provider)),
        }
        whose, ceiling = days.get(verdict.rule, (None, None))
        kind = BudgetExhausted
        if ceiling is not None and asked is not None and asked <= ceiling:
            kind, self._unmet = DaySpent, Unmet(self._day(), whose, ceiling, asked)
        return kind(
            f"The call was not made: {verdict.reason} ({verdict.rule}).",
            ceiling=verdict.rule,
            remedy="`ouro cost` shows the spend; ceilings are [budget] in the owner's settings.",
        )

    def settle(self, ticket: int, usage: Usage, price: Price | None) -> tuple[Spend, Statement]:
        """The actual spend, and the statement to commit with the call's entry. Still reserved until :meth:`release`."""
        held = self._open[ticket]
        usd = estimate(price, usage.tokens_in, usage.tokens_out) or 0
        spend = Spend(usd_micro=usd, tokens_in=usage.tokens_in, tokens_out=usage.tokens_out, calls=1)
        row = (self._day(), held.provider, held.op_id, held.route, held.phase, usd, usage.tokens_in, usage.tokens_out)
        return spend, ("INSERT INTO spend VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def release(self, ticket: int) -> None:
        """Drop a reservation: its settlement is durable, or the call was never made."""
        self._open.pop(ticket, None)
        freed, self._freed = self._freed, asyncio.Event()
        freed.set()

    async def exhausted(self) -> bool:
        """True when the day's budget is spent, so that no op is started. Never True if all providers are free.

        Also True while the last refused call does not fit: its op would otherwise be taken and returned forever.
        """
        if 0 < self.settings.per_day_usd_micro <= await self.spent_today():
            return True
        unmet = self._unmet
        if unmet is None or unmet.day != self._day():
            return False
        spent = await self.spent_today(unmet.provider)
        held = sum(r.usd_micro for r in self._open.values() if unmet.provider in (None, r.provider))
        return spent + held + unmet.usd_micro > unmet.ceiling

    async def refilled(self) -> None:
        """Return when there is budget: at midnight UTC, or when a running call costs less than its reservation."""
        while True:
            freed = self._freed  # taken before the check, so that no release is missed
            if not await self.exhausted():
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(freed.wait(), self.seconds_to_midnight())

    def seconds_to_midnight(self) -> float:
        """Seconds until the next UTC day."""
        now = self._clock.now()
        tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), tzinfo=UTC)
        return (tomorrow - now).total_seconds()

    async def table(self) -> list[tuple[str, str, str, str, int, int, int, int]]:
        """Rows for ``ouro cost``: day, provider, route, op, micro-dollars, tokens in, tokens out, calls."""
        rows = await self._ledger.query(
            "SELECT day, provider, route, op_id, SUM(usd_micro), SUM(tokens_in), SUM(tokens_out), COUNT(*) FROM spend"
            " GROUP BY day, provider, route, op_id ORDER BY day DESC, op_id"
        )
        return [
            (str(day), str(provider), str(route), str(op), *(int(str(n)) for n in numbers))  # type: ignore[misc]
            for day, provider, route, op, *numbers in rows
        ]
