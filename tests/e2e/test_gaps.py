"""A file that ops find nothing for: from their ends to a gap, to work on it, and to the proof that it is served."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daemon.control.messages import OpRef, RejectRequest, SubmitRequest
from daemon.control.table import ControlApi
from kernel.provider import Message
from ledger.events.op import OpEnded
from ledger.vocabulary import OpOutcome, RootCause, Source
from tests.e2e.serving import Serving, served
from tests.e2e.talking import Said, Talking, call, looked, swap
from tests.e2e.world import SHOP, config_for, ended, repo_with
from tests.repos import git

CART = "shop/cart.py"
LINE = "    subtotal = sum(prices)"
SPLIT = swap(CART, LINE, "    prices = list(prices)\n    subtotal = sum(prices)")
CHECKED = swap(CART, "    prices = list(prices)", "    prices = [price for price in prices if price]")
QUICK = {
    "test_failure": {"debounce_s": 600.0, "debounce_most_s": 1_200.0},
    "router": {"coalesce_s": 0},
    "pipeline": {"generate_retries": 0},
    "loop": {"rounds": 3},
    "sensors": {"capability_gap": {"work": True, "least_seen": 2}},
}
GOALS = ("Rename the parameter of total", "Split total into parts")


class Stumped:
    """Finds nothing for a goal in words, but can mend what stands in its way. ``wants`` is a tool that it asks for."""

    def __init__(self, *, wants: str = "") -> None:
        self.learnt = False
        self._wants = [call(wants, of="total")] if wants else []

    def say(self, conversation: Sequence[Message]) -> Said:
        text = "\n".join(message.text for message in conversation)
        if not any(message.role == "tool" for message in conversation):
            return [*self._wants, *looked(CART)]
        if "stands in the way" in text:
            return SPLIT
        return CHECKED if self.learnt else ""


async def submitted(service: Serving, api: ControlApi, goal: str) -> RootCause:
    await api.submit(SubmitRequest(goal=goal, files=(CART,)))
    return (await ended(service.core)).cause


async def line_of(service: Serving) -> str:
    """What status says of gaps, once all that has ended is read."""
    gap = service.sensors.by_source[Source("capability_gap")]
    await gap.scan_once()
    return gap.state().line


async def test_a_gap_is_met_worked_on_and_served(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    first, model = git(repo, "rev-parse", "HEAD"), Stumped()
    async with served(config_for(tmp_path, repo, **QUICK), Talking(model.say, changes=[CART]), watch=True) as (
        service,
        api,
    ):
        for goal in GOALS:
            assert await submitted(service, api, goal) in (RootCause.NO_CANDIDATE, RootCause.PROVIDER_BAD_OUTPUT)
        waiting = await ended(service.core)  # the op of the gap: its closure is the owner's, whatever the tests say
        assert waiting.request is not None, (waiting.state, waiting.reason)
        assert (waiting.op.origin, waiting.op.targets) == (Source("capability_gap"), (CART,))
        line = await line_of(service)
        assert f"file {CART} (2 ops of 2 kinds" in line
        told = await service.core.ledger.entries(events=(OpEnded,))
        assert f"entries {', '.join(str(entry.seq) for entry in told)}" in line
        assert git(repo, "rev-parse", "HEAD") == first
        await api.approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert f"file {CART}" in await line_of(service)  # that it was worked on proves nothing
        model.learnt = True
        await api.submit(SubmitRequest(goal="Drop prices of nothing from total", files=(CART,)))
        waiting = await ended(service.core)
        assert waiting.request is not None, (waiting.state, waiting.reason)
        await api.approve(OpRef(op=waiting.op.id))
        assert (await ended(service.core)).state is OpOutcome.COMPLETE
        await service.until("gap.seen", served=[f"file:{CART}"])
        assert await line_of(service) == ""
        assert (await service.core.ledger.verify()).ok
    assert git(repo, "rev-list", "--count", "HEAD") == "3"


async def test_green_tests_serve_no_gap_and_the_owners_no_ends_the_work_on_it(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    first, model = git(repo, "rev-parse", "HEAD"), Stumped()
    async with served(config_for(tmp_path, repo, **QUICK), Talking(model.say, changes=[CART]), watch=True) as (
        service,
        api,
    ):
        for goal in GOALS:
            await submitted(service, api, goal)
        waiting = await ended(service.core)
        assert (waiting.op.origin, waiting.request is None) == (Source("capability_gap"), False), waiting.reason
        runs = await service.entries(waiting.op.id, "validated")
        assert runs and {run.payload["status"] for run in runs} == {"green"}
        await api.reject(RejectRequest(op=waiting.op.id, reason="that is no cure"))
        ending = await ended(service.core)
        assert (ending.state, ending.cause) == (OpOutcome.CANCELLED, RootCause.APPROVAL_REJECTED)
        assert f"file {CART} (2 ops of 2 kinds" in await line_of(service)
        assert await service.core.router.idle()
    assert git(repo, "rev-parse", "HEAD") == first


async def test_a_tool_that_nobody_has_is_told_and_not_worked_on(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    model = Talking(Stumped(wants="draw_diagram").say, changes=[CART])
    async with served(config_for(tmp_path, repo, **QUICK), model, watch=True) as (service, api):
        for goal in GOALS:
            assert await submitted(service, api, goal) is RootCause.POLICY_REFUSED
        assert "tool draw_diagram (2 ops of 2 kinds" in await line_of(service)
        (note,) = [note for note in (await api.status()).notes if note.startswith("capability_gap: not served")]
        assert "there is no tool of that name" in note
        assert await service.core.router.idle()
