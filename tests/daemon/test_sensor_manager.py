"""What a scan says of its signals, and that nobody keeps what nobody asks for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.views.render_intake import sensors_block
from daemon.views.text import show
from ledger.vocabulary import Source
from tests.e2e.serving import served
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, repo_with
from tests.repos import commit, git, write
from tools.index.trees import oid_of

RED = "tests/test_cart.py::test_total_with_discount"


async def test_scans_at_the_same_time_each_hear_of_their_signals(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {"shop/cart.py": PLUS})
    async with served(config_for(tmp_path, repo), Infilling(minus)) as (service, _):
        service.core.router.pause()
        senses = service.sensors
        first, second = await asyncio.gather(senses.scan(RED, asked=True), senses.scan(RED, asked=True))
        assert len(set(first.signals)) == 1 and set(first.signals) == set(second.signals)
        again = await senses.scan(RED)
        assert again.signals == first.signals[:1]  # of this scan only, not of all that ever were
        assert not senses.intake.is_scanning and not senses.intake.is_asked


async def test_each_sensor_says_what_it_saw_or_why_it_sees_nothing(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "A list", {".ouro/backlog.toml": '[[item]]\ntitle = "Round totals"\nstate = "ready"\n'})
    config = config_for(tmp_path, repo, webhook={"port": 1, "github_secrets": ["UNSET"]})
    async with served(config, Infilling(minus), watch=True) as (service, api):
        await service.sensors.scan(None, asked=True)
        await service.sensors.by_source[Source("backlog")].scan_once()
        view = await api.sensors()
    says = {sensor.source: sensor.says for sensor in view.sensors}
    assert "Green at" in says["test_failure"] and says["todo_scanner"] == "switched off"
    assert "unavailable: " in says["backlog"] and says["manual"] == ""  # this model only fills holes
    assert says["runtime_health"] == "on" and says["scheduled"].startswith("on; nothing is scheduled")
    assert view.webhooks.startswith("webhooks are not heard: no variable")
    text = show(sensors_block(view), colour=False)
    assert "unavailable: " in text and "switched off" in text and view.webhooks in text
    assert "events                  inotify on " in text and " told" in view.events


async def test_the_code_index_knows_what_is_saved_and_committed_before_it_is_asked(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    config = config_for(tmp_path, repo)
    async with served(config, Infilling(minus), watch=True) as (service, _):
        index = service.core.code

        async def knows(text: str, language: str = "python") -> None:
            async with asyncio.timeout(30):
                while await index.missing([f"{oid_of(text.encode())}.{language}"]):  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.02)

        await knows(SHOP["shop/cart.py"])
        write(repo, {"shop/saved.py": "SAVED = 1\n"})
        await knows("SAVED = 1\n")
        for before, after in (("f", "g"), ("g", "h")):  # a language of another grammar, saved and saved again
            write(repo, {"web/cart.ts": f"export function {after}() {{ {before}() }}\n"})
            await knows(f"export function {after}() {{ {before}() }}\n", "typescript")
        git(repo, "checkout", "-q", "-b", "side")
        commit(repo, "elsewhere", {"shop/side.py": "SIDE = 1\n"})
        await knows("SIDE = 1\n")
        assert service.sensors.notes() == ()
    assert config.places.code_index.stat().st_mode & 0o777 == 0o600


async def test_a_head_that_is_away_for_a_moment_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    head = repo / ".git/HEAD"
    async with served(config_for(tmp_path, repo), Infilling(minus), watch=True) as (service, _), asyncio.timeout(60):
        while "inotify on 0" in service.sensors.events:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.02)
        head.rename(repo / ".git/away")
        while not any("review branches" in record.message for record in caplog.records):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.05)
        (repo / ".git/away").rename(head)
        commit(repo, "Goals that cannot be read", {".ouro/goals.toml": "goal = 1\n"})
        while not service.core.router.goals.problem:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.05)
        assert not any("review branches" in reason for reason in service.reasons)
