"""A daemon at rest: one timer, that of health; what is seen of the machine is shown, and what presses is heeded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from daemon.lifecycle.doctor import examine
from daemon.views.render import health_block, status_block
from daemon.views.text import show
from sensors.health.health import Health
from sensors.health.sample import Gauges
from sensors.intake.pressure import Level
from tests.e2e.serving import served
from tests.e2e.test_repair import minus
from tests.e2e.world import SHOP, Infilling, config_for, repo_with
from tests.repos import make_repo

OFTEN = {"health": {"every_s": 0.05}, "governor": {"look_every_s": 1e-6}}


def timers() -> list[Any]:
    """What will wake the loop by itself."""
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [handle._callback for handle in scheduled if not handle.cancelled()]  # type: ignore[attr-defined]


async def test_a_daemon_at_rest_is_woken_by_its_health_only(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    async with served(config_for(tmp_path, repo), Infilling(minus), watch=True) as (service, api):
        await service.until("known", green=True)
        await service.core.health.look()
        async with asyncio.timeout(60):
            while len(timers()) > 2:  # noqa: ASYNC110  # what the first look has left ends; one is this block's own
                await asyncio.sleep(0.05)
        (only,) = timers()
        assert only.__func__ is Health._called and only.__self__ is service.core.health
        view = await api.health()
        assert view.machine.samples >= 1 and {part.name for part in view.machine.parts} >= {"memory", "disk", "loop"}
        assert "machine" in show(health_block(view), colour=False)


async def test_what_presses_the_machine_is_seen_by_governor_and_owner(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable: 1 kB\n")
    config = config_for(tmp_path, make_repo(tmp_path / "repo"), **OFTEN)
    async with served(config, Infilling(minus)) as (service, api):
        home = service.core
        home.health._gauges = Gauges(proc=tmp_path, supplies=tmp_path)
        await home.health.next()
        await home.health.next()
        await home.router.governor.look()
        assert home.router.governor.situation().surroundings.memory is Level.CRITICAL
        status = await api.status()
        assert status.notes[0].startswith("the machine is CRITICAL, score ")  # the loop may be late, too
        assert "memory 1 % left" in show(status_block(status), colour=False)
        assert (await api.health()).machine.state == "CRITICAL"


async def test_the_doctor_looks_at_the_machine(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path)}
    found = {check.name: check for check in (await examine(repo, environ)).checks}
    assert "score" in found["machine"].detail and not found["machine"].essential
