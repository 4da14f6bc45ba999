"""The disk fills up while a repair is written: a sentence that is true, and the next start takes the change back."""

from __future__ import annotations

import errno
from pathlib import Path

from governance.changes.effects import Effects
from ledger.vocabulary import OpOutcome
from tests.e2e.serving import Serving, served
from tests.e2e.talking import Talking, after_a_look
from tests.e2e.test_refusals import CART, GOOD, LONG, shop, work
from tests.e2e.world import config_for
from tests.repos import git
from tools.git import Git


class FullAtTheCommit(Effects):
    """No effect succeeds from the commit's object on."""

    full = False

    def step(self, effect: str, target: str) -> None:
        self.full = self.full or effect == "write_commit"
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device", target or effect)


class OnASmallDisk(Serving):
    def effects(self, git: Git) -> Effects:
        return FullAtTheCommit(git)


async def test_a_change_that_cannot_be_taken_back_is_told_and_taken_back_later(tmp_path: Path) -> None:
    repo = shop(tmp_path)
    config = config_for(tmp_path, repo)
    async with served(config, Talking(after_a_look(GOOD)), service_type=OnASmallDisk) as (service, _):
        ending = await work(service)
        assert ending.state is OpOutcome.POSTMORTEM
        assert "your files still hold the change, which the next start takes back" in ending.reason
        assert ending.reason.count("No space left on device") == 2 and "OSError" not in ending.reason
        assert "left as the owner has them" not in ending.reason
    assert (repo / CART).read_text() != LONG
    async with served(config, Talking(after_a_look(GOOD))) as (service, _):
        assert (await service.core.ledger.verify()).ok
    assert (repo / CART).read_text() == LONG and git(repo, "status", "--porcelain") in ("", "?? link")
