"""After `ouro undo`: what the owner took back stays back, until the owner changes the code or asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.control.messages import FixRequest, OpRef
from daemon.control.service_api import ServiceApi
from ledger.errors import TestsUnavailable
from ledger.vocabulary import OpOutcome, RootCause
from tests.e2e.serving import Serving, served
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit, git

CART = "shop/cart.py"
QUICK = {"debounce_s": 0.1}
NOTE = "its repair was taken back; left alone until the code changes"
MORE = "\n\ndef count(prices):\n    return len(prices)\n"


async def ops(service: Serving) -> int:
    return sum(e.payload.get("event") == "op.started" for e in await service.core.ledger.entries())


async def looked_at(service: Serving, api: ServiceApi, head: str) -> None:
    """The sensor's look at ``head`` is over, with all that follows from it."""
    await service.until("known", commit=head, green=False)
    for _ in range(400):
        if any(NOTE in note for note in (await api.status()).notes):
            break
        await asyncio.sleep(0.05)
    assert any(NOTE in note for note in (await api.status()).notes)
    assert await service.core.router.idle()


async def test_a_repair_that_was_undone_is_left_alone_until_the_code_changes(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {CART: PLUS})
    config = config_for(tmp_path, repo, test_failure=QUICK)
    async with served(config, Infilling(minus), watch=True) as (service, api):
        first = await ended(service.core)
        assert first.state is OpOutcome.COMPLETE, (first.cause, first.reason)
        await service.until("known", commit=git(repo, "rev-parse", "HEAD"), green=True)
        await api.undo(OpRef(op=first.op.id))
        assert (repo / CART).read_text() == PLUS
        await looked_at(service, api, git(repo, "rev-parse", "HEAD"))
        assert NOTE in (await api.status()).suite.note
        unrelated = commit(repo, "Say what this is", {"README.md": "a shop\n", "shop/other.py": "x = 1\n"})
        await looked_at(service, api, unrelated)
        assert await ops(service) == 1
    async with served(config, Infilling(minus), watch=True) as (service, api):  # nor after a restart
        await service.until("known", commit=unrelated, green=False)
        await looked_at(service, api, unrelated)
        assert await ops(service) == 1
        mine = commit(repo, "Count too", {CART: PLUS + MORE})
        second = await ended(service.core)
        assert second.op.id != first.op.id and second.op.base == mine
        assert second.state is OpOutcome.POSTMORTEM, (second.cause, second.reason)
        assert git(repo, "rev-parse", "HEAD") == mine  # the same change, in a file that reads otherwise by now
    assert (repo / CART).read_text() == PLUS + MORE


async def test_the_owner_may_ask_again_for_what_was_taken_back(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {CART: PLUS})

    def another(prefix: str, suffix: str) -> list[str]:
        return ["subtotal - discount", "sum(prices, start=-discount)"] if prefix.endswith("return ") else []

    async with served(config_for(tmp_path, repo, test_failure=QUICK), Infilling(minus), watch=True) as (service, api):
        first = await ended(service.core)
        await service.until("known", commit=git(repo, "rev-parse", "HEAD"), green=True)
        await api.undo(OpRef(op=first.op.id))
        await looked_at(service, api, git(repo, "rev-parse", "HEAD"))
        undo = git(repo, "rev-parse", "HEAD")
    async with served(config_for(tmp_path, repo), Infilling(another)) as (service, api):
        assert not (await service.sensors.scan(None)).signals
        assert len((await api.fix(FixRequest())).signals) == 1
        second = await ended(service.core)
        assert second.state is OpOutcome.COMPLETE, (second.cause, second.reason)
    assert "sum(prices, start=-discount)" in (repo / CART).read_text()
    assert git(repo, "rev-parse", "HEAD^") == undo


async def test_a_search_in_vain_is_not_made_again_over_the_same_code(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {CART: PLUS})
    config = config_for(tmp_path, repo, repair={"moves": False}, test_failure=QUICK, router={"dedup_window_s": 0})
    clueless = Infilling(lambda prefix, _: ["subtotal"] if prefix.endswith("return ") else [])
    async with served(config, clueless, watch=True) as (service, api):
        first = await ended(service.core)
        assert first.cause is RootCause.NO_CANDIDATE, first.reason
        unrelated = commit(repo, "Say what this is", {"README.md": "a shop\n"})
        await service.until("known", commit=unrelated, green=False)
        assert await service.core.router.idle()
    async with served(config, clueless, watch=True) as (service, api):
        assert await ops(service) == 1
        found = await service.sensors.scan(None)
        assert not found.signals and "searched for in vain" in found.message
        assert len((await api.fix(FixRequest())).signals) == 1
        assert (await ended(service.core)).cause is RootCause.NO_CANDIDATE
        commit(repo, "Count too", {CART: PLUS + MORE})
        assert (await ended(service.core)).cause is RootCause.NO_CANDIDATE
        assert await ops(service) == 3


async def test_a_file_that_never_was_is_named_once(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    async with served(config_for(tmp_path, repo), Infilling(minus)) as (service, _):
        with pytest.raises(TestsUnavailable) as caught:
            await service.sensors.scan("tests/test_nope.py::test_it", asked=True)
    assert str(caught.value).startswith("There is no file tests/test_nope.py at ")
