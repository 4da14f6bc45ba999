"""Nothing is to be done: a function near a past failure gets tests that hold it fast; and tests that hold nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daemon.control.messages import OpRef
from kernel.provider import Message
from ledger.store import Ledger
from ledger.vocabulary import Draft, EntryKind, OpOutcome, RootCause, Source
from sensors.health.sample import Gauges
from tests.e2e.serving import Serving, served
from tests.e2e.talking import Said, Talking, after_a_look, looked, whole
from tests.e2e.world import SHOP, config_for, ended, repo_with
from tests.repos import git

CART, TEST = "shop/cart.py", "tests/test_shop_cart_rebate.py"
REBATE = "\n\ndef rebate(price, pieces):\n    if pieces > 9:\n        return price * 2\n    return price\n"
FILES = {**SHOP, CART: SHOP[CART] + REBATE}
HOLDS = "from shop.cart import rebate\n\n\ndef test_rebate():\n    assert [rebate(5, 9), rebate(5, 10)] == [5, 10]\n"
CALLS = "from shop.cart import rebate\n\n\ndef test_rebate():\n    rebate(5, 9)\n    rebate(5, 10)\n"
HALF = "from shop.cart import rebate\n\n\ndef test_rebate():\n    assert rebate(5, 10) == 10\n"
QUICK = {
    "test_failure": {"debounce_s": 0.1},
    "router": {"coalesce_s": 0},
    "health": {"every_s": 0.2},
    "governor": {"look_every_s": 0.01},
    "sensors": {"proactive_exploration": {"enabled": True, "idle_s": 0.5}},
}


async def once_failed(ledger: Ledger) -> None:
    """An op had to repair that file before."""
    await ledger.append(Draft(kind=EntryKind.OUTCOME, payload={"event": "outcome", "success": True, "files": [CART]}))


async def at_ease(service: Serving, nowhere: Path) -> None:
    """On a machine that nothing presses."""
    service.core.health._gauges = Gauges(proc=nowhere, supplies=nowhere)
    await service.core.health.next()
    await service.core.health.next()


async def test_a_daemon_with_nothing_to_do_pins_what_no_test_names(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", FILES)
    head = git(repo, "rev-parse", "HEAD")
    model = Talking(after_a_look(whole(TEST, HOLDS), CART), changes=[TEST])
    async with served(config_for(tmp_path, repo, **QUICK), model, watch=True) as (service, api):
        await once_failed(service.core.ledger)
        await at_ease(service, tmp_path / "none")
        waiting = await ended(service.core)
        assert waiting.request is not None, (waiting.state, waiting.reason)
        assert (waiting.op.origin, waiting.op.targets) == (Source("exploration"), (CART,))
        assert "only the owner can say whether that is right" in " ".join(
            waiting.dossier.gating.reasons if waiting.dossier.gating else ()
        )
        await api.approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert ending.dossier.verification is not None
        assert f"{TEST} notices 3 of 3 changes of rebate" in ending.dossier.verification.closure_reason
    assert git(repo, "rev-parse", "HEAD^") == head
    assert (repo / TEST).read_text() == HOLDS and (repo / CART).read_text() == FILES[CART]
    assert git(repo, "status", "--porcelain") == ""


async def test_green_tests_that_hold_nothing_fast_are_not_enough(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", FILES)
    head = git(repo, "rev-parse", "HEAD")
    told: list[str] = []

    def say(conversation: Sequence[Message]) -> Said:
        if not any(m.role == "tool" for m in conversation):
            return looked(CART)
        told.append("\n".join(m.text for m in conversation))
        return whole(TEST, CALLS if len(told) == 1 else HALF)

    async with served(config_for(tmp_path, repo, **QUICK), Talking(say, changes=[TEST])) as (service, _):
        await once_failed(service.core.ledger)
        await at_ease(service, tmp_path / "none")
        await service.sensors.by_source[Source("exploration")].scan_once()
        ending = await ended(service.core)
        assert ending.state is OpOutcome.POSTMORTEM, (ending.cause, ending.reason)
        assert ending.cause in (RootCause.CLOSURE_OPEN, RootCause.POLICY_REFUSED), ending.reason
        runs = await service.entries(ending.op.id, "validated")
        assert {run.payload["status"] for run in runs} == {"green"}
    assert f"{TEST} still passes with `None` for `price * 2`" in told[1]
    assert f"{TEST} still passes with" in ending.reason
    assert git(repo, "rev-parse", "HEAD") == head and not (repo / TEST).exists()
