"""A service that lacks something says so, and sees for itself when it comes or goes."""

from __future__ import annotations

import resource
import venv
from pathlib import Path

from daemon.control.messages import FixRequest, Life, OpRef
from daemon.control.service_api import ServiceApi
from kernel.provider import Health
from ledger.vocabulary import OpOutcome
from tests.e2e.serving import Serving, served
from tests.e2e.test_approvals import BETTER, CART, documenting, parked
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, own_environment, repo_with
from tests.repos import git, make_repo

PULL = "The weights are not on this machine."


class Fetched(Infilling):
    """A model whose weights come and go."""

    there = False

    async def health(self) -> Health:
        return Health(ready=self.there, detail="" if self.there else PULL)


async def states(service: Serving) -> list[tuple[str, list[str]]]:
    entries = [e.payload for e in await service.core.ledger.entries()]
    events = ("session.ready", "session.state")
    return [(said["state"], said["reasons"]) for said in entries if said.get("event") in events]


async def test_weights_that_are_pulled_later_end_the_degraded_state(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {".gitignore": ".venv\n", **SHOP})
    own_environment(repo)
    model = Fetched(lambda before, after: [])
    async with served(config_for(tmp_path, repo), model) as (service, facade):
        assert (service.life, service.reasons) == (Life.DEGRADED, (PULL,))
        assert (await facade.status()).reasons == (PULL,)
        model.there = True
        status = await facade.status()
        assert (status.state, status.reasons) == (Life.ACTIVE, ())
        assert (await facade.health()).ok
        model.there = False
        await service.look_again(probe=True)
        assert service.life is Life.DEGRADED
        await service.look_again(probe=True)  # nothing new: nothing is written
        assert await states(service) == [("DEGRADED", [PULL]), ("ACTIVE", []), ("DEGRADED", [PULL])]


async def test_a_pytest_that_is_installed_later_is_used(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {".gitignore": ".venv\n", **SHOP})
    venv.create(repo / ".venv", with_pip=False, symlinks=True)
    model = Fetched(lambda before, after: ["    return subtotal - discount"])
    model.there = True
    async with served(config_for(tmp_path, repo), model) as (service, facade):
        assert service.life is Life.DEGRADED and "pytest is not installed" in service.reasons[0]
        own_environment(repo)
        found = await facade.fix(FixRequest())
        assert found.message.startswith("Green"), found.message
        assert (service.life, service.reasons) == (Life.ACTIVE, ())
        (repo / "shop/cart.py").write_text(PLUS)
        git(repo, "commit", "-qam", "A fault")
        await facade.fix(FixRequest())
        done = await service.until("terminal", to=OpOutcome.COMPLETE.value)
        assert git(repo, "log", "-1", "--format=%(trailers:key=Ouro-Op,valueonly)").strip() == done.op_id


async def test_memory_is_what_is_resident_now(tmp_path: Path) -> None:
    async with served(config_for(tmp_path, make_repo(tmp_path / "repo")), Fetched(lambda b, a: [])) as (service, _):
        block = bytearray(b"x" * 64 * 2**20)
        held = await ServiceApi(service).health()
        del block
        freed = await ServiceApi(service).health()
        assert held.resident_kb - freed.resident_kb > 48 * 1024
        assert freed.resident_peak_kb == resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >= held.resident_kb - 1024


async def test_a_change_that_waits_is_taken_up_by_the_runtime_that_replaces_another(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    config = config_for(tmp_path, repo)
    async with served(config, documenting()) as (service, api):
        op_id = (await parked(service, api)).op.id
    (packages,) = (repo / ".venv" / "lib").glob("python*/site-packages")
    packages.rename(tmp_path / "packages")
    packages.mkdir()
    async with served(config, documenting()) as (service, api):
        before = service.runtime
        assert "pytest is not installed" in before.tests.problem
        await service.look_again(probe=True)
        assert service.runtime is before  # the answer is the same
        packages.rmdir()
        (tmp_path / "packages").rename(packages)
        await service.look_again(probe=True)
        assert service.runtime is not before and service.life is Life.ACTIVE
        assert before.pool.stopped.is_set() and len(service.working) == 1
        assert [view.id for view in (await api.status()).waiting] == [op_id]
        await api.approve(OpRef(op=op_id))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
    assert BETTER in (repo / CART).read_text()
