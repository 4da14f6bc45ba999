"""A clean stop in the middle of an op costs it nothing; a kill counts as an attempt."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kernel.provider import InfillAnswer, InfillRequest
from ledger.vocabulary import RootCause
from tests.e2e.serving import Serving
from tests.e2e.victim import Quick
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, repo_with
from tests.repos import commit


class Thinking(Infilling):
    """A model that never comes to an end; ``asked`` is set when it was asked."""

    def __init__(self) -> None:
        super().__init__(lambda before, after: [])
        self.asked = asyncio.Event()

    async def infill(self, request: InfillRequest) -> InfillAnswer:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError("it was cancelled before")


class Quickly(Serving):
    runner_type = Quick


async def attempts_after(service: Serving, model: Thinking, *, told: bool) -> tuple[str, int]:
    """One boot until the model thinks. Not ``told``: the daemon ends without a word, as when it is killed."""
    await service.open()
    try:
        await service.bring_up()
        if not service.home.router.snapshot().lines:
            await service.senses_now.scan(None)
        (line,) = service.home.router.snapshot().lines
        await asyncio.wait_for(model.asked.wait(), 60)
        if not told:
            await service.home.ledger.close()
    finally:
        await service.close()
    return line.state.value, line.attempts


@pytest.mark.parametrize("told", [True, False], ids=["stopped", "ended without a word"])
async def test_four_boots(tmp_path: Path, told: bool) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {"shop/cart.py": PLUS})
    config = config_for(tmp_path, repo, service={"stop_grace_s": 0})
    seen = []
    for _ in range(3):
        model = Thinking()
        _, attempts = await attempts_after(Quickly(config, model), model, told=told)
        seen.append(attempts)
    assert seen == ([0, 0, 0] if told else [0, 1, 2])
    last = Quickly(config, Thinking())
    await last.open()
    try:
        last.home.router.pause()
        await last.bring_up()
        (line,) = last.home.router.snapshot().lines
        assert (line.state.value, line.attempts) == (("queued", 0) if told else ("dead", 3))
        assert all(RootCause.CRASH_RECOVERED.value in entry for entry in line.history)
    finally:
        await last.close()
