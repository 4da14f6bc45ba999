"""A file with a bad history is asked about; after successes, or after a week, it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.control.messages import OpRef, RejectRequest
from daemon.record.replay import replay, replay_entries
from daemon.settings.config import Config
from governance.memory.lessons import Lessons
from governance.pipeline.dossier import Dossier
from governance.pipeline.ending import Ending, record_outcome
from governance.record import Recorder
from ledger.clock import ManualClock, SystemClock
from ledger.events.session import SessionStarted
from ledger.store import Ledger
from ledger.vocabulary import FailureClass, OpOutcome, RootCause, Tier
from tests.e2e.serving import served
from tests.e2e.talking import Talking, after_a_look
from tests.e2e.test_refusals import CART, GOOD, TEST, shop, work
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.governance.ops import operation
from tests.repos import commit, git

OP = operation(targets=(CART,))
BAD = Ending(
    op=OP,
    dossier=Dossier(),
    state=OpOutcome.CANCELLED,
    cause=RootCause.APPROVAL_REJECTED,
    failure=FailureClass.USER,
    reason="we round half to even",
)
WELL = Ending(op=OP, dossier=Dossier(), state=OpOutcome.COMPLETE)
DAY = timedelta(days=1)


async def remembered(config: Config, *ends: tuple[timedelta, Ending]) -> None:
    """The record of a daemon that has worked on the cart before: so long ago, and so it ended."""
    clock = ManualClock(SystemClock().now() - max(ago for ago, _ in ends))
    ledger = await Ledger.open(config.places.ledger, repo_id=config.places.repo_id, clock=clock)
    try:
        entry = await Recorder(ledger).note(SessionStarted())
        for ago, past in sorted(ends, key=lambda end: -end[0]):
            clock.advance((SystemClock().now() - ago - clock.now()).total_seconds())
            past = replace(past, op=operation(targets=(CART,)))
            await record_outcome(past, Recorder(ledger, op_id=past.op.id), Lessons(), terminal=entry.seq)
    finally:
        await ledger.close()


async def one_repair(tmp_path: Path, ends: Sequence[tuple[timedelta, Ending]]) -> tuple[Ending, str]:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {CART: PLUS})
    config = config_for(tmp_path, repo)
    if ends:
        await remembered(config, *ends)
    async with served(config, Infilling(minus)) as (service, _):
        ending = await work(service)
        assert (await replay(service.core.ledger, op_id=None)).differences == ()
    return ending, git(repo, "log", "-1", "--format=%(trailers:key=Generated-By,valueonly)").strip()


@pytest.mark.parametrize(
    "ends, tier",
    [
        ([], Tier.SAFE_AUTO),
        ([(DAY / 4, BAD)], Tier.NOTIFY_APPLY),
        ([(DAY / 4, BAD)] * 3, Tier.APPROVAL_REQUIRED),
        ([(8 * DAY, BAD)] * 3, Tier.SAFE_AUTO),
        ([(6 * DAY, BAD)] * 3 + [(DAY / 4, WELL)] * 3, Tier.SAFE_AUTO),
    ],
    ids=["nothing", "once", "often", "long ago", "mended since"],
)
async def test_the_tier_follows_what_became_of_the_file(
    tmp_path: Path, ends: list[tuple[timedelta, Ending]], tier: Tier
) -> None:
    ending, made_by = await one_repair(tmp_path, ends)
    assert ending.dossier.tier is tier, ending.dossier.gating
    if tier is Tier.APPROVAL_REQUIRED:
        assert ending.request is not None and f"of 3 changes of {CART} lately, none went well" in ending.request.reason
    else:
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        assert made_by == ("Ouroboros" if tier is Tier.SAFE_AUTO else "Ouroboros + Consciousness")


async def test_why_the_owner_said_no_reaches_the_next_model(tmp_path: Path) -> None:
    repo = shop(tmp_path)
    config = config_for(tmp_path, repo)
    await remembered(config, *[(DAY / 4, BAD)] * 3)
    model = Talking(after_a_look(GOOD, CART, TEST))
    async with served(config, model) as (service, api):
        first = await work(service)
        assert first.request is not None
        await api.reject(RejectRequest(op=first.op.id, reason="cents are never rounded here"))
        assert (await ended(service.core)).cause is RootCause.APPROVAL_REJECTED
        model.asked.clear()
        commit(repo, "Say what this is", {"README.md": "a shop\n"})
        second = await work(service, "Let the discount count")
        asked = "\n".join(message.text for message in model.asked[0])
        assert "cents are never rounded here" in asked and second.op.id != first.op.id


@pytest.mark.parametrize("memory, told", [({}, False), ({"lessons": True}, True)], ids=["as delivered", "on"])
async def test_what_came_of_the_last_op_is_a_lesson(tmp_path: Path, memory: dict[str, bool], told: bool) -> None:
    repo = shop(tmp_path)
    model = Talking(after_a_look(GOOD, CART, TEST))
    async with served(config_for(tmp_path, repo, memory=memory), model) as (service, _):
        first = await work(service)
        assert first.state is OpOutcome.COMPLETE, first.reason
        git(repo, "revert", "--no-edit", "HEAD")
        model.asked.clear()
        second = await work(service, "Let the discount count")
        assert second.state is OpOutcome.COMPLETE, second.reason
        asked = "\n".join(message.text for message in model.asked[0])
        assert (f"[OK] {first.op.goal} ({CART})" in asked) == told


async def test_a_forged_memory_is_found_by_replay(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {CART: PLUS})
    config = config_for(tmp_path, repo)
    await remembered(config, (DAY / 4, BAD))
    async with served(config, Infilling(minus)) as (service, _):
        ending = await work(service)
        entries = await service.entries(ending.op.id, "tier.assigned")
        blob = service.core.ledger.get_blob
    assert (await replay_entries(entries, blob)).differences == ()
    told = entries[-1].payload["prophecy"]
    harmless = [{**standing, "good": standing["weight"], "taken_back": 0} for standing in told["reputations"]]
    for forged in ({**told, "reputations": harmless}, {**told, "dependents": 20}):
        changed = entries[-1].model_copy(update={"payload": {**entries[-1].payload, "prophecy": forged}})
        assert "prophecy was HIGH" in str((await replay_entries([changed], blob)).differences)


async def test_an_undo_makes_the_next_change_of_the_file_a_notice(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {CART: PLUS})
    async with served(config_for(tmp_path, repo), Infilling(minus)) as (service, api):
        first = await work(service)
        assert (first.state, first.dossier.tier) == (OpOutcome.COMPLETE, Tier.SAFE_AUTO), first.reason
        await api.undo(OpRef(op=first.op.id))
        commit(repo, "Speed up totals differently", {CART: PLUS.replace("subtotal", "together")})
        second = await work(service, "Let the discount count")
        assert second.dossier.tier is Tier.NOTIFY_APPLY, second.dossier.gating
        assert second.dossier.gating is not None and "taken back" in second.dossier.gating.reasons[-1]
