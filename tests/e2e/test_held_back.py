"""`ouro run --once` when the governor holds back what is left, and the owner who asks for it all the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

from daemon.control.messages import Event, FixRequest
from daemon.lifecycle.exits import Exit
from daemon.lifecycle.one_boot import HELD_BACK, work_off
from ledger.vocabulary import OpOutcome
from tests.e2e.serving import served
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit


async def test_the_command_ends_and_the_signal_waits_for_the_owner(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {"shop/cart.py": PLUS})
    config = config_for(tmp_path, repo, governor={"reflex_per_hour": 0})
    told: list[Event] = []
    async with served(config, Infilling(minus)) as (service, api):
        service.on_event = told.append
        codes = await asyncio.wait_for(work_off(service, None), 120)
        (line,) = service.core.router.snapshot().lines
        assert codes == [Exit.REFUSED] and [event.note for event in told if event.note] == [HELD_BACK]
        assert line.waits == "held back: posture MAINTAIN leaves none to test_failure (governor.posture)"
        await api.fix(FixRequest())
        assert (await ended(service.core)).state is OpOutcome.COMPLETE
