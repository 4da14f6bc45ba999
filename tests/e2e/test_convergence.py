"""What was claimed is graded by what became of it: a commit, an undo, a no with a reason; in any boot the same."""

from __future__ import annotations

from pathlib import Path

from daemon.control.messages import OpRef, RejectRequest
from daemon.control.service_api import ServiceApi
from daemon.record.replay import replay
from daemon.views.render import op_block
from daemon.views.render_calibration import calibration_block
from daemon.views.text import show
from governance.grounding.trust import Tally, read_table, trust_from_ledger
from ledger.events.event import event_in
from ledger.events.grounding import About, ClaimMade, ClaimOutcome, TrustKey, grades_in
from ledger.vocabulary import OpOutcome
from tests.e2e.serving import Serving, served
from tests.e2e.test_approvals import documenting, parked
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit

CART = "shop/cart.py"
SENSOR = TrustKey(kind="source", name="test_failure")
CLOZE = TrustKey(kind="strategy", name="cloze")
TALK = TrustKey(kind="strategy", name="conversation")


async def outcomes(service: Serving, op_id: str) -> dict[About, set[ClaimOutcome]]:
    """What stands last of each kind of claim of an op; each grade names a record before it."""
    entries = await service.core.ledger.entries(op_id=op_id)
    records = {entry.seq for entry in entries if event_in(entry, ClaimMade)}
    grades = [(entry.seq, grade) for entry in entries for grade in grades_in(entry)]
    assert all(grade.record in records and grade.record < seq for seq, grade in grades)
    last = {grade.record: grade for _, grade in grades}
    assert last.keys() == records
    return {about: {g.outcome for g in last.values() if g.about is about} for about in About}


async def agreed(service: Serving) -> None:
    """Running, in the table and in the log it is the same, and the record replays."""
    ledger = service.core.ledger
    assert service.core.trust.tallies == (await read_table(ledger))[1] == (await trust_from_ledger(ledger)).tallies
    assert (await replay(ledger, op_id=None)).differences == ()


async def shown(api: ServiceApi, op_id: str) -> str:
    return show(op_block(await api.show(OpRef(op=op_id))), colour=False)


async def test_a_commit_is_a_hit_and_its_undo_makes_it_a_miss(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {CART: PLUS})
    config = config_for(tmp_path, repo)
    async with served(config, Infilling(minus)) as (service, api):
        await service.sensors.scan(None)
        op = (await ended(service.core)).op.id
        told = await outcomes(service, op)
        assert (told[About.CONDITION], told[About.CHANGE]) == ({ClaimOutcome.HIT}, {ClaimOutcome.HIT})
        trust = service.core.trust
        assert (trust.of(SENSOR), trust.of(CLOZE)) == (Tally(1, 1), Tally(1, 1))
        assert "condition hit" in await shown(api, op)
        before = await api.calibration()
        assert (before.accepted, before.held, before.incidents, before.agrees) == (1, 1, 0, True)
        await api.undo(OpRef(op=op))
        told = await outcomes(service, op)
        assert (told[About.CONDITION], told[About.CHANGE]) == ({ClaimOutcome.MISS}, {ClaimOutcome.MISS})
        assert (trust.of(SENSOR), trust.of(CLOZE)) == (Tally(0, 1), Tally(0, 1))
        assert "now condition miss · change miss (undone by the owner)" in await shown(api, op)
        await agreed(service)
        running = trust.tallies
    async with served(config, Infilling(minus)) as (service, api):  # another boot knows the same
        assert service.core.trust.tallies == running
        after = await api.calibration()
        assert (after.accepted, after.held, after.incidents, after.ops) == (1, 0, 1, 1)
        assert after.brier_bp == 10_000  # it was certain, and it was not so
        text = show(calibration_block(after), colour=False)
        assert "0 of 1 committed changes held · grounding precision 0 %" in text and "source test_failure" in text


async def test_a_no_with_a_reason_is_a_miss_of_the_change_and_not_of_the_owner(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    async with served(config_for(tmp_path, repo), documenting()) as (service, api):
        waiting = await parked(service, api)
        assert not service.core.trust.tallies
        await api.reject(RejectRequest(op=waiting.op.id, reason="not my style"))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.CANCELLED
        told = await outcomes(service, ending.op.id)
        assert told[About.CHANGE] == {ClaimOutcome.MISS} and told[About.REPLY]
        assert service.core.trust.of(TALK) == Tally(0, 1)
        assert not any(key.kind == "source" for key in service.core.trust.tallies)
        assert "(not my style)" in await shown(api, ending.op.id)
        await agreed(service)
