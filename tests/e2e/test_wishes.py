"""Free text in the REPL, over the real socket: a question, a person's answer, and only then work."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.control.client import Client
from daemon.control.messages import AnswerRequest, OpRef, RejectRequest
from daemon.repl.commands import answer
from ledger.vocabulary import OpOutcome, RootCause, Source, SourceClass
from tests.e2e.serving import Serving, served
from tests.e2e.talking import Talking, after_a_look, swap
from tests.e2e.world import SHOP, Infilling, config_for, ended, repo_with
from tests.repos import git

CART = "shop/cart.py"
LINE = "    subtotal = sum(prices)"
DONE = f"    if any(price < 0 for price in prices):\n        raise ValueError('a price is negative')\n{LINE}"
WISH = f"I wish total in {CART} refused negative prices"
QUICK = {"test_failure": {"debounce_s": 0.1}, "router": {"coalesce_s": 0}}


async def typed(service: Serving, text: str) -> str:
    """A line in the REPL."""
    config = service.config
    async with await Client.connect(config.places.socket, config.settings.control, token=config.places.token) as client:
        return (await answer(client, text, colour=False)).text


async def test_a_wish_is_asked_about_and_done_after_two_answers(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    first = git(repo, "rev-parse", "HEAD")
    config = config_for(tmp_path, repo, **QUICK)
    model = Talking(after_a_look(swap(CART, LINE, DONE), CART), changes=[CART])
    async with served(config, model, watch=True) as (service, api):
        assert "Noted" in await typed(service, "Morning! The key is AKIAIOSFODNN7QQWWEER, by the way.")
        assert f'Shall I work on this: "{WISH}"?' in await typed(service, WISH)
        (note,) = [note for note in (await api.status()).notes if note.startswith("intent_discovery:")]
        assert WISH in note and "ouro answer w-" in note
        assert await service.core.router.idle() and model.asked == []
    async with served(config, model) as (service, api):  # the question outlives the daemon
        wish = note.partition("work on this? ")[2].split()[0]
        assert "queued as sig-" in (await api.answer(AnswerRequest(op=wish, text="yes"))).message.lower()
        waiting = await ended(service.core)
        assert waiting.request is not None, (waiting.state, waiting.reason)
        assert (waiting.op.origin, waiting.op.targets) == (Source("intent_discovery"), (CART,))
        assert waiting.dossier.routing is not None
        assert waiting.dossier.routing.route.value.lower() == SourceClass.SPECULATIVE.value
        assert git(repo, "rev-parse", "HEAD") == first
        await api.approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert "AKIAIOSFODNN7" not in repr(await service.core.ledger.query("SELECT * FROM conversation"))
        assert not [note for note in (await api.status()).notes if note.startswith("intent_discovery:")]
    assert "ValueError" in (repo / CART).read_text()
    asked = "\n".join(m.text for turn in model.asked for m in turn)
    assert "refused negative prices" in asked and "AKIAIOSFODNN7" not in asked


async def test_a_wish_without_a_yes_is_no_work_and_green_tests_are_no_yes(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    model = Talking(after_a_look(swap(CART, LINE, DONE), CART), changes=[CART])
    async with served(config_for(tmp_path, repo, **QUICK), model) as (service, api):
        assert "Shall I" in await typed(service, WISH)
        assert "not ask about that again" in await typed(service, "no, negative prices are refunds")
        assert "negative prices are refunds" in await typed(service, WISH)
        assert await service.core.router.idle() and model.asked == []
        assert "Shall I" in await typed(service, f"We should raise a ValueError for negative prices in {CART}")
        assert "Queued" in await typed(service, "yes")
        waiting = await ended(service.core)
        assert waiting.request is not None, (waiting.state, waiting.reason)
        assert "owner" in " ".join(waiting.dossier.gating.reasons if waiting.dossier.gating else ())
        await api.reject(RejectRequest(op=waiting.op.id))
        ending = await ended(service.core)
        assert (ending.state, ending.cause) == (OpOutcome.CANCELLED, RootCause.APPROVAL_REJECTED)
        said = await typed(service, "/said")
        assert said.splitlines()[0] == f"owner      {WISH}" and "ouroboros" in said
    assert (repo / CART).read_text() == SHOP[CART]


@pytest.mark.long
async def test_a_kernel_that_takes_no_words_only_listens(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    async with served(config_for(tmp_path, repo, **QUICK), Infilling(lambda prefix, suffix: [])) as (service, api):
        assert not [note for note in (await api.status()).notes if "intent" in note or "voice" in note]
        assert "takes no goal in words" in await typed(service, WISH)
        assert "yes" not in await typed(service, "yes") and await service.core.router.idle()
