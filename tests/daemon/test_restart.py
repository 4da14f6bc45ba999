"""A dropped model's memory comes back with a fresh process only: the daemon begins afresh when nobody needs it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from daemon.control.client import Client
from kernel.provider import Heavy
from tests.e2e.serving import served
from tests.e2e.world import Infilling, config_for
from tests.repos import make_repo

OFTEN = {"service": {"recheck_s": 0.1}, "health": {"every_s": 0.1}}


class Dropped(Infilling):
    """Had a model in memory; ``left_behind`` is what the daemon asks."""

    loaded = False

    def __init__(self) -> None:
        super().__init__(lambda before, after: [])
        self.left_behind = False


async def test_the_daemon_begins_afresh_when_the_model_was_dropped_and_nobody_is_there(tmp_path: Path) -> None:
    model = Dropped()
    assert isinstance(model, Heavy)
    config = config_for(tmp_path, make_repo(tmp_path / "repo"), **OFTEN)
    async with served(config, model) as (service, _):
        await asyncio.sleep(0.5)
        assert not service.stopping.is_set()
        async with await Client.connect(
            config.places.socket, config.settings.control, token=config.places.token
        ) as client:
            await client.status()
            model.left_behind = True
            await asyncio.sleep(0.5)
            assert not service.stopping.is_set()  # somebody is connected
        await asyncio.wait_for(service.stopping.wait(), 10)
        assert service.restart


async def test_a_model_that_was_never_loaded_changes_nothing(tmp_path: Path) -> None:
    config = config_for(tmp_path, make_repo(tmp_path / "repo"), **OFTEN)
    async with served(config, Infilling(lambda before, after: [])) as (service, _):
        await asyncio.sleep(0.5)
        assert not service.restart and not service.stopping.is_set()
