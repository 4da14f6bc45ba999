"""What is spoken, over the real socket: to a commit, and never to an approval."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.control.client import Client, RemoteError
from daemon.control.messages import Answered, OpRef, RejectRequest, Utterance
from ledger.events.session import ControlRequested
from ledger.vocabulary import OpOutcome, RootCause, Source, Tier
from tests.e2e.serving import Serving, served
from tests.e2e.talking import Talking, after_a_look, swap
from tests.e2e.test_refusals import CART, FAILING, GOOD, TEST
from tests.e2e.world import PLUS, SHOP, config_for, ended, repo_with
from tests.repos import commit, git

STILL = {"test_failure": {"debounce_s": 600.0, "debounce_most_s": 1_200.0}, "router": {"coalesce_s": 0}}
DONE = "    if any(price < 0 for price in prices):\n        raise ValueError('a price is negative')"
LINE = "    subtotal = sum(prices)"


async def spoken(service: Serving, text: str, sure: int | None = 9_500) -> Answered:
    """What a speech program would send, as another process does."""
    config = service.config
    async with await Client.connect(config.places.socket, config.settings.control, token=config.places.token) as client:
        return await client.hear(Utterance(text=text, confidence_bp=sure))


async def test_a_spoken_test_is_repaired_and_what_is_unsure_is_not_begun(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    broken = commit(repo, "Speed up totals", {CART: PLUS})
    model = Talking(after_a_look(GOOD, CART, TEST))
    async with served(config_for(tmp_path, repo, **STILL), model, watch=True) as (service, api):
        for sure in (4_000, None):
            unsure = await spoken(service, "fix test total with discount", sure)
            assert (unsure.outcome, unsure.rule) == ("asked_back", "voice.confidence")
        assert await service.core.router.idle() and "2 asked back" in " ".join((await api.status()).notes)
        queued = await spoken(service, "Ouro, please fix test total with discount.")
        assert queued.outcome == "queued" and FAILING in queued.message
        again = await spoken(service, "fix test total with discount")
        assert again.outcome == "repeated"
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert (ending.op.origin, ending.op.test_ids) == (Source("voice_human"), (FAILING,))
        assert ending.dossier.tier is Tier.SAFE_AUTO
        told = (await spoken(service, "what are you doing?")).message
        assert told == "Nothing is under way."
        asked = await service.core.ledger.events(ControlRequested)
        assert [event.asked.get("goal") for _, event in asked if event.verb == "hear"] == [
            "fix test total with discount",
            None,
        ]
    assert git(repo, "rev-parse", "HEAD^") == broken
    assert len(model.asked) == 2


async def test_no_voice_approves_what_green_tests_do_not_close(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    model = Talking(after_a_look(swap(CART, LINE, f"{DONE}\n{LINE}"), CART), changes=[CART])
    async with served(config_for(tmp_path, repo, **STILL), model) as (service, api):
        await spoken(service, f"refuse negative prices in {CART}")
        waiting = await ended(service.core)
        assert waiting.request is not None and waiting.dossier.tier is Tier.APPROVAL_REQUIRED, waiting.reason
        short = waiting.op.id.split("-")[1][-6:]
        for said in (f"approve {short}", "yes", "go ahead", "apply the change", "okay, approve it", "merge it",
                     f"reject {short}"):  # fmt: skip
            refused = await spoken(service, said, 10_000)
            assert (refused.outcome, refused.rule) == ("refused", "voice.approval"), said
        assert not await service.entries(waiting.op.id, "approval.approved")
        assert not await service.entries(waiting.op.id, "approval.rejected")
        assert short in (await spoken(service, "show it")).message
        await api.reject(RejectRequest(op=waiting.op.id))
        ending = await ended(service.core)
        assert (ending.state, ending.cause) == (OpOutcome.CANCELLED, RootCause.APPROVAL_REJECTED)
    assert (repo / CART).read_text() == SHOP[CART]


@pytest.mark.long
async def test_orders_are_carried_out_and_a_wrong_reference_is_told(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    model = Talking(after_a_look(swap(CART, LINE, f"{DONE}\n{LINE}"), CART), changes=[CART])
    async with served(config_for(tmp_path, repo, **STILL), model) as (service, api):
        assert (await spoken(service, "pause")).message.startswith("Paused")
        assert (await api.status()).queue.paused
        assert ", paused" in (await spoken(service, "status", None)).message
        await spoken(service, f"refuse negative prices in {CART}")
        await spoken(service, "resume")
        waiting = await ended(service.core)
        with pytest.raises(RemoteError, match="No op matches"):
            await spoken(service, "cancel op zzz 9 9 9 f".replace("zzz ", ""))
        cancelled = await spoken(service, "cancel it")
        assert cancelled.outcome == "done", cancelled
        ending = await ended(service.core)
        assert (ending.op.id, ending.state) == (waiting.op.id, OpOutcome.CANCELLED)
        with pytest.raises(RemoteError, match="Nothing is under way"):
            await spoken(service, "cancel this")
        with pytest.raises(RemoteError, match="No signal fits"):
            await spoken(service, "retry 123abc")
        await api.show(OpRef(op=waiting.op.id))
