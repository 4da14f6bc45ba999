"""A clean stop in the middle of an op costs it nothing; a kill counts as an attempt."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.control.messages import FixRequest, OpRef, OpsRequest
from daemon.control.service_api import ServiceApi
from daemon.exit_codes import Exit, exit_for_error
from daemon.views.render import status_block
from daemon.views.text import show
from kernel.provider import InfillAnswer, InfillRequest
from ledger.errors import ControlError
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
        if not service.core.router.snapshot().lines:
            await service.sensors.scan(None)
        (line,) = service.core.router.snapshot().lines
        await asyncio.wait_for(model.asked.wait(), 60)
        if not told:
            await service.core.ledger.close()
    finally:
        await service.close()
    return line.state.value, line.attempts


async def test_an_op_in_flight_is_told_of(tmp_path: Path) -> None:
    """Status says since when and that intake rests; a second `fix` says that the daemon is at it, and with which op."""
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {"shop/cart.py": PLUS})
    model = Thinking()
    config = config_for(tmp_path, repo, service={"stop_grace_s": 0}, repair={"moves": False})
    service = Quickly(config, model)
    try:
        await service.open()
        await service.bring_up()
        api = ServiceApi(service)
        assert (await api.fix(FixRequest())).message.startswith("Red at")
        await asyncio.wait_for(model.asked.wait(), 60)
        (op,) = (await api.ops(OpsRequest())).ops
        found = await api.fix(FixRequest())
        assert found.message.endswith(f"The daemon is at it already: op-{op.short}.")
        assert "duplicate" not in found.message
        assert found.signals == op.signals and (await api.show(OpRef(op=op.signals[0]))).id == op.id
        await api.pause()
        page = show(status_block(await api.status()), colour=False)
        assert page.startswith("PAUSED · ouroboros") and "s · localise: " in page.partition("GENERATE · ")[2]
        for order in (api.approve, api.undo):
            with pytest.raises(ControlError) as refused:
                await order(OpRef(op=op.id))
            assert exit_for_error(refused.value) is Exit.USAGE
    finally:
        await service.close()


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
        last.core.router.pause()
        await last.bring_up()
        (line,) = last.core.router.snapshot().lines
        assert (line.state.value, line.attempts) == (("queued", 0) if told else ("dead", 3))
        assert all(RootCause.CRASH_RECOVERED.value in entry for entry in line.history)
    finally:
        await last.close()
