"""What waits for a person, and what a person can stop: approve, reject, expire, cancel, pause."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.control.messages import ApproveRequest, OpRef, OpsRequest, RejectRequest, SubmitRequest
from daemon.control.service_api import ServiceApi
from daemon.settings.config import Config
from governance.pipeline.ending import Ending
from kernel.provider import Provider
from ledger.clock import SystemClock
from ledger.errors import ControlError, RepositoryBusy
from ledger.ids import short_id
from ledger.vocabulary import OpOutcome, Phase, RootCause
from tests.e2e.serving import Serving, served
from tests.e2e.talking import Pondering, Talking, after_a_look, swap
from tests.e2e.test_repair import minus
from tests.e2e.world import SHOP, Infilling, config_for, ended, repo_with
from tests.repos import git

CART = "shop/cart.py"
DOC = '    """Sum after the discount."""'
BETTER = '    """Sum of the prices after the discount was taken off."""'
GOAL = SubmitRequest(goal="Say in total() what the discount does", files=(CART,))


def documenting() -> Talking:
    return Talking(after_a_look(swap(CART, DOC, BETTER), CART))


async def parked(service: Serving, api: ServiceApi) -> Ending:
    """Submit the goal; the op that waits for the owner."""
    submitted = await api.submit(GOAL)
    assert submitted.status == "queued"
    ending = await ended(service.core)
    assert ending.request is not None, (ending.state, ending.reason)
    assert ending.state is Phase.APPROVE
    return ending


def nothing_left(service: Serving, repo: Path) -> None:
    """No workspace, no branch, nothing in the checkout."""
    places = service.config.places
    folders = [
        Path("/dev/shm") / f"ouroboros-{os.getuid()}-{places.repo_id}",
        places.cache / "workspaces" / places.repo_id,
    ]
    assert [f for base in folders if base.is_dir() for f in base.iterdir()] == []
    assert list(places.journal.iterdir()) == []
    assert git(repo, "status", "--porcelain") == ""


async def test_a_process_that_was_started_for_one_answer_gives_no_other_and_restarts_nothing(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    async with served(config_for(tmp_path, repo), documenting()) as (service, api):
        op_id = (await parked(service, api)).op.id
        service.only = "op-another"
        for answer in (api.approve(OpRef(op=op_id)), api.reject(RejectRequest(op=op_id, reason="no"))):
            with pytest.raises(ControlError, match="for op-another"):
                await answer
        with pytest.raises(ControlError, match="No daemon runs here"):
            await api.reload()
        assert not service.stopping.is_set() and (await api.status()).waiting
        service.only = op_id
        await api.approve(OpRef(op=op_id))
        assert (await ended(service.core)).state is OpOutcome.COMPLETE


async def test_a_goal_without_a_check_waits_and_lands_with_the_owners_yes(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    head = git(repo, "rev-parse", "HEAD")
    async with served(config_for(tmp_path, repo), documenting()) as (service, api):
        op_id = (await parked(service, api)).op.id
        (shown,) = (await api.ops(OpsRequest())).ops
        assert (shown.id, shown.waiting, shown.waiting_until > shown.started_at) == (op_id, True, True)
        (waits,) = (await api.status()).waiting
        assert waits.id == op_id
        assert (await api.status()).queue.parked == 1
        assert BETTER in (await api.diff(OpRef(op=shown.short))).diff
        assert f"ouro approve {shown.short.removeprefix('op-')}" in await service.told(op_id)
        assert git(repo, "rev-parse", "HEAD") == head
        assert (repo / CART).read_text() == SHOP[CART]
        await api.approve(OpRef(op=shown.short))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        with pytest.raises(ControlError, match="does not wait"):
            await api.approve(OpRef(op=shown.short))
        assert not (await api.status()).waiting
        nothing_left(service, repo)
    assert git(repo, "rev-parse", "HEAD^") == head
    assert BETTER in (repo / CART).read_text()
    assert "APPROVAL_REQUIRED" in git(repo, "log", "-1", "--format=%(trailers:key=Ouro-Risk,valueonly)")


OTHER = BETTER.replace("taken off", "deducted")
REFUSES_BETTER = """from shop import cart


def test_words():
    assert "taken off" not in cart.total.__doc__
"""


async def test_a_second_yes_for_the_first_change_does_not_count_for_the_second(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    texts = [swap(CART, DOC, BETTER), swap(CART, DOC, OTHER)]
    looked = [after_a_look(text, CART) for text in texts]
    turned_down: list[bool] = []
    model = Talking(lambda conversation: looked[bool(turned_down)](conversation))
    async with served(config_for(tmp_path, repo), model) as (service, api):
        op_id = (await parked(service, api)).op.id
        first = await api.show(OpRef(op=op_id))
        with pytest.raises(ControlError, match="another change"):
            await api.approve(ApproveRequest(op=op_id, diff="0" * 8))
        (repo / "tests/test_words.py").write_text(REFUSES_BETTER)
        git(repo, "add", "-A")
        git(repo, "commit", "-q", "-m", "Words")
        turned_down.append(True)
        await api.approve(ApproveRequest(op=op_id, diff=first.change))
        again = await ended(service.core)
        assert again.request is not None and again.op.id == op_id, (again.state, again.reason)
        head = git(repo, "rev-parse", "HEAD")
        second = await api.show(OpRef(op=op_id))
        assert second.waiting and second.change != first.change and second.approval.endswith(f" {second.change}")
        assert f"ouro approve {short_id(op_id)} {second.change}" in await service.told(op_id)
        for yes in (OpRef(op=op_id), ApproveRequest(op=op_id, diff=first.change)):
            with pytest.raises(ControlError, match=r"second change|another change"):
                await api.approve(yes)
        assert git(repo, "rev-parse", "HEAD") == head and (await api.show(OpRef(op=op_id))).waiting
        await api.approve(ApproveRequest(op=op_id, diff=second.change))
        assert (await ended(service.core)).state is OpOutcome.COMPLETE
    assert OTHER in (repo / CART).read_text()


async def test_a_yes_during_a_merge_is_refused_and_the_work_goes_on_waiting(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    async with served(config_for(tmp_path, repo), documenting()) as (service, api):
        op_id = (await parked(service, api)).op.id
        merge = repo / ".git" / "MERGE_HEAD"
        merge.write_text(git(repo, "rev-parse", "HEAD") + "\n")
        with pytest.raises(RepositoryBusy, match="A merge is under way"):
            await api.approve(OpRef(op=op_id))
        merge.unlink()
        assert [view.id for view in (await api.status()).waiting] == [op_id]
        await api.approve(OpRef(op=op_id))
        assert (await ended(service.core)).state is OpOutcome.COMPLETE


async def test_what_the_owner_has_protected_meanwhile_is_not_written_whatever_he_said_before(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    head = git(repo, "rev-parse", "HEAD")
    async with served(config_for(tmp_path, repo), documenting()) as (service, api):
        op_id = (await parked(service, api)).op.id
    stricter = config_for(tmp_path, repo, pipeline={"protected_paths": ("cart.py",)})
    async with served(stricter, documenting()) as (service, api):
        await api.approve(OpRef(op=op_id))
        ending = await ended(service.core)
        assert (ending.state, ending.cause) == (OpOutcome.POSTMORTEM, RootCause.BLOCKED_PATH), ending.reason
        assert "gate02.owner" in ending.reason and "gate02.owner" in await service.told(op_id)
        nothing_left(service, repo)
    assert git(repo, "rev-parse", "HEAD") == head and (repo / CART).read_text() == SHOP[CART]


async def test_a_rejected_change_is_cancelled_and_never_offered_again(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    async with served(config_for(tmp_path, repo), documenting()) as (service, api):
        first = await parked(service, api)
        await api.reject(RejectRequest(op=first.op.id, reason="not my style"))
        ending = await ended(service.core)
        assert (ending.state, ending.cause) == (OpOutcome.CANCELLED, RootCause.APPROVAL_REJECTED)
        assert ending.reason == "not my style"
        await api.submit(GOAL)
        again = await ended(service.core)
        assert again.state is OpOutcome.POSTMORTEM
        assert "gate19.undone" in again.reason, again.reason
        nothing_left(service, repo)
    assert (repo / CART).read_text() == SHOP[CART]


async def test_nobody_there_means_no(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    async with served(config_for(tmp_path, repo, approval={"timeout_s": 1}), documenting()) as (service, api):
        waiting = await parked(service, api)
        ending = await ended(service.core, within_s=5)
        assert (ending.state, ending.cause) == (OpOutcome.CANCELLED, RootCause.APPROVAL_EXPIRED)
        assert not (await api.ops(OpsRequest())).ops
        with pytest.raises(ControlError):
            await api.approve(OpRef(op=waiting.op.id))
        nothing_left(service, repo)
    assert (repo / CART).read_text() == SHOP[CART]


class Slept(SystemClock):
    """The machine sleeps, or its clock is set, while nobody waits for anything."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


class OnASleepyMachine(Serving):
    def __init__(self, config: Config, model: Provider) -> None:
        super().__init__(config, model)
        self.clock = self.slept = Slept()


async def test_a_yes_that_comes_too_late_is_none_and_is_told_so(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    config = config_for(tmp_path, repo, approval={"timeout_s": 600})
    async with served(config, documenting(), service_type=OnASleepyMachine) as (service, api):
        waiting = await parked(service, api)
        assert isinstance(service, OnASleepyMachine)
        service.slept.ahead = timedelta(days=1)
        with pytest.raises(ControlError, match="waited until its time ran out"):
            await api.approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core, within_s=5)
        assert (ending.state, ending.cause) == (OpOutcome.CANCELLED, RootCause.APPROVAL_EXPIRED)
        nothing_left(service, repo)
    assert (repo / CART).read_text() == SHOP[CART]


async def test_cancel_stops_a_parked_op(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    async with served(config_for(tmp_path, repo), documenting()) as (service, api):
        waiting = await parked(service, api)
        await api.cancel(OpRef(op=waiting.op.id))
        ending = await ended(service.core, within_s=5)
        assert ending.state is OpOutcome.CANCELLED
        nothing_left(service, repo)


async def test_cancel_stops_a_model_that_thinks(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    model = Pondering()
    async with served(config_for(tmp_path, repo), model) as (service, api):
        await api.submit(GOAL)
        await asyncio.wait_for(model.thinking.wait(), 30)
        (running,) = (await api.status()).active
        began = time.monotonic()
        await api.cancel(OpRef(op=running.short))
        ending = await ended(service.core, within_s=2)
        assert time.monotonic() - began < 2
        assert model.stopped.is_set()
        assert (ending.state, ending.cause) == (OpOutcome.CANCELLED, RootCause.CANCELLED_BY_OWNER)
        assert await service.core.router.idle()
        nothing_left(service, repo)
        assert len(await service.entries(ending.op.id, "call.ended")) == 1


async def test_cancel_stops_tests_that_run(tmp_path: Path) -> None:
    slow = "import time\n\nfrom shop.cart import total\n\n\ndef test_slow():\n    total([])\n    time.sleep(600)\n"
    repo = repo_with(tmp_path / "shop", {**SHOP, "tests/test_slow.py": slow})
    async with served(config_for(tmp_path, repo), Infilling(minus)) as (service, api):
        closed_when = ("tests/test_slow.py::test_slow",)
        await api.submit(SubmitRequest(goal="Make it quick", files=(CART,), closed_when=closed_when))
        await service.until("phase.entered", to="GENERATE")
        while not sleepers(service):
            await asyncio.to_thread(time.sleep, 0.05)
        (running,) = (await api.status()).active
        await api.cancel(OpRef(op=running.short))
        ending = await ended(service.core, within_s=3)
        assert ending.cause is RootCause.CANCELLED_BY_OWNER
        assert not sleepers(service)
        nothing_left(service, repo)


@pytest.mark.long
async def test_the_end_of_an_ops_time_stops_tests_that_run(tmp_path: Path) -> None:
    """Gate 9: with the op ends all that it has started."""
    slow = "import time\n\nfrom shop.cart import total\n\n\ndef test_slow():\n    total([])\n    time.sleep(600)\n"
    repo = repo_with(tmp_path / "shop", {**SHOP, "tests/test_slow.py": slow})
    config = config_for(tmp_path, repo, clocks={"op_s": 15, "op_local_s": 15})
    async with served(config, Infilling(minus)) as (service, api):
        closed_when = ("tests/test_slow.py::test_slow",)
        await api.submit(SubmitRequest(goal="Make it quick", files=(CART,), closed_when=closed_when))
        await service.until("phase.entered", to="GENERATE")
        while not sleepers(service):
            await asyncio.to_thread(time.sleep, 0.05)
        ending = await ended(service.core)
        assert ending.cause is RootCause.TIMEOUT and "(gate09.ceiling)" in ending.reason, ending.reason
        assert not sleepers(service)
        nothing_left(service, repo)
        assert "gate09.ceiling" in await service.told(ending.op.id)


def sleepers(service: Serving) -> list[str]:
    """Processes of this machine that run the repository's tests."""
    python = str(service.config.places.repo / ".venv/bin/python")
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if words and words[0].decode(errors="replace") == python:
            found.append(entry.name)
    return found


async def test_pause_holds_work_back_until_resume(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    async with served(config_for(tmp_path, repo), documenting()) as (service, api):
        await api.pause()
        assert (await api.submit(GOAL)).status == "queued"
        with pytest.raises(TimeoutError):
            await ended(service.core, within_s=0.5)
        status = await api.status()
        assert (status.queue.paused, status.queue.queued, status.active) == (True, 1, ())
        await api.resume()
        assert (await ended(service.core)).request is not None
        assert not (await api.status()).queue.paused
