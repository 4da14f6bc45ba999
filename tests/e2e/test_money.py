"""`ouro run --once` when the day's money runs out in the middle of an op."""

from __future__ import annotations

import asyncio
from pathlib import Path

from daemon.control.messages import Event
from daemon.lifecycle.exits import Exit
from daemon.lifecycle.one_boot import NO_MONEY, work_off
from kernel.provider import InfillAnswer, InfillRequest, Price, Usage
from ledger.vocabulary import OpOutcome, RootCause
from tests.e2e.serving import served
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, repo_with
from tests.repos import commit

DAY = 5_000  # micro-dollars


class Dear(Infilling):
    """Takes nearly the whole day's money for its first answer, which is wrong."""

    price = Price(input=1_000_000, output=0)

    async def infill(self, request: InfillRequest) -> InfillAnswer:
        answer = await super().infill(request)
        return answer.model_copy(update={"usage": Usage(tokens_in=DAY - 10, tokens_out=0)})


async def test_what_the_day_does_not_pay_for_stays_queued_and_the_command_ends(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {"shop/cart.py": PLUS})
    config = config_for(tmp_path, repo, repair={"moves": False}, budget={"per_day_usd_micro": DAY})
    told: list[Event] = []
    async with served(config, Dear(lambda prefix, suffix: ["return subtotal * 2"])) as (service, _):
        service.on_event = told.append
        codes = await asyncio.wait_for(work_off(service, None), 60)
        (line,) = service.core.router.snapshot().lines  # claimed: a worker looks at it, and gives it back unstarted
        ends = [e.payload for e in await service.core.ledger.entries() if e.payload.get("event") == "terminal"]
    assert codes[-1] is Exit.REFUSED and [event.note for event in told if event.note] == [NO_MONEY]
    assert [(end["to"], end["root_cause"]) for end in ends] == [(OpOutcome.CANCELLED, RootCause.BUDGET_EXHAUSTED)]
    assert line.state.value in ("queued", "claimed") and line.attempts == 0, line
