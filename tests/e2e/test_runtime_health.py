"""A suite that has stopped answering, from the commit that broke it to the one that mends it; and what is no answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.control.messages import OpRef
from ledger.vocabulary import OpOutcome, RootCause, Source, SuiteAnswers
from sensors.health.sample import Gauges
from tests.e2e.serving import Serving, served
from tests.e2e.talking import Talking, after_a_look, swap
from tests.e2e.world import SHOP, config_for, ended, repo_with
from tests.repos import commit, git

QUICK = {"test_failure": {"debounce_s": 0.1}, "router": {"coalesce_s": 0}}
SLOW = {"pipeline": {"suite_budget_s": 20}, "repair": {"test_limit_s": 20}, "health": {"every_s": 0.2}}
INI = "pytest.ini"
RIGHT = "[pytest]\npythonpath = .\n"
REFUSED = f"{RIGHT}addopts = --as-quick-as-lightning\n"
NOWHERE = f"{RIGHT}python_files = check_*.py\n"
FEWER = f"{RIGHT}python_files = test_cart.py\n"
FILES = {**SHOP, INI: RIGHT, "tests/test_other.py": "def test_other():\n    assert True\n"}


def mending(old: str, new: str) -> Talking:
    return Talking(after_a_look(swap(INI, old.strip(), new.strip()), INI), changes=[INI])


async def looked_into(service: Serving) -> str:
    """What the sensor says, once the suite was run at HEAD."""
    senses = service.sensors
    await senses.suite_sensor.scan_once(force=True)
    sensor = senses.by_source[Source("runtime_health")]
    await sensor.scan_once()
    return sensor.state().line


async def broken(service: Serving, repo: Path, text: str) -> str:
    """The suite answers, then the commit."""
    assert await looked_into(service) == ""
    return commit(repo, "Faster tests", {INI: text})


async def test_settings_that_pytest_refuses_are_mended(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", FILES)
    model = mending(REFUSED, RIGHT)
    first = git(repo, "rev-parse", "HEAD")
    config = config_for(tmp_path, repo, **QUICK, health={"every_s": 0.2})
    async with served(config, model, watch=True) as (service, api):
        await service.until("known", commit=first, green=True)
        head = commit(repo, "Faster tests", {INI: REFUSED})
        ending = await ended(service.core)
        compared = [await service.until("compared", commit=each) for each in (head, first)]
        assert [entry.payload["status"] for entry in compared] == ["infra", "green"]
        notes = "\n".join((await api.status()).notes)
        assert f"runtime_health: The suite gives no answer at {head[:12]}, and does at {first[:12]}." in notes
        (signal,) = ending.op.signals
        assert isinstance(signal.closure, SuiteAnswers)
        assert (len(signal.closure.ids), signal.closure.least) == (3, 3) and signal.targets == (INI,)
        assert "lightning" in " ".join(e.evidence for e in signal.evidence)
        if ending.request is not None:
            await api.approve(OpRef(op=ending.op.id))
            ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert ending.dossier.verification is not None
        assert "The suite answers: 3 tests pass" in ending.dossier.verification.closure_reason
        await service.until("known", commit=git(repo, "rev-parse", "HEAD"), green=True)
    assert git(repo, "rev-parse", "HEAD^") == head
    assert (repo / INI).read_text() == RIGHT


async def test_a_suite_that_collects_less_than_before_does_not_answer_again(tmp_path: Path) -> None:
    """What collects nothing is no red test, and half of it is no answer though all that runs is green."""
    repo = repo_with(tmp_path / "shop", FILES)
    model = mending(NOWHERE, FEWER)
    async with served(config_for(tmp_path, repo, **QUICK), model) as (service, _):
        head = await broken(service, repo, NOWHERE)
        assert "and does at" in await looked_into(service)
        ending = await ended(service.core)
        assert ending.state is OpOutcome.POSTMORTEM, (ending.cause, ending.reason)
        assert ending.cause in (RootCause.CLOSURE_OPEN, RootCause.POLICY_REFUSED), ending.reason
        told = " ".join(m.text for asked in model.asked for m in asked)
        assert "tests/test_other.py::test_other was not run" in told
        assert await looked_into(service) == f"The suite gives no answer at {head[:12]}; an op was asked for."
        assert await service.core.router.idle()
    assert git(repo, "rev-parse", "HEAD") == head


async def test_without_a_cause_in_the_repository_there_is_no_work(tmp_path: Path) -> None:
    """Pytest is taken out of the environment: neither commit answers."""
    repo = repo_with(tmp_path / "shop", FILES)
    async with served(config_for(tmp_path, repo, **QUICK), Talking(lambda _: "")) as (service, _):
        await broken(service, repo, RIGHT + "\n")
        site = next((repo / ".venv" / "lib").glob("python*")) / "site-packages"
        (site / "_pytest" / "main.py").rename(site / "_pytest" / "main.away")
        said = await looked_into(service)
        assert said.startswith("The suite answers neither at"), said
        (site / "_pytest" / "main.away").rename(site / "_pytest" / "main.py")
        assert await looked_into(service) == ""
        assert await service.core.router.idle()


@pytest.mark.long
async def test_a_suite_that_hangs_is_one_that_does_not_answer(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, "tests/conftest.py": "import shop.cart\n"})
    hangs = SHOP["shop/cart.py"] + "\n\nwhile total([1]) == 1:\n    pass\n"
    mended = Talking(after_a_look(swap("shop/cart.py", hangs.strip(), SHOP["shop/cart.py"].strip()), "shop/cart.py"))
    config = config_for(
        tmp_path, repo, **QUICK, pipeline={"suite_budget_s": 20}, repair={"test_limit_s": 20}, health={"every_s": 0.2}
    )
    async with served(config, mended) as (service, _):
        service.core.health._gauges = Gauges(proc=tmp_path / "none", supplies=tmp_path / "none")
        await service.core.health.next()
        await service.core.health.next()
        assert await looked_into(service) == ""
        commit(repo, "Warm up", {"shop/cart.py": hangs})
        assert "and does at" in await looked_into(service)
        ending = await ended(service.core, within_s=300)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
    assert (repo / "shop/cart.py").read_text() == SHOP["shop/cart.py"]
