"""A suite that cannot be run under coverage is repaired all the same: by the recent change, or by what fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.vocabulary import OpOutcome
from sensors.requests.manual import manual_signal
from tests.e2e.serving import served
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit, git

CART, FAILING = "shop/cart.py", "tests/test_cart.py::test_total_with_discount"
BRITTLE = """import os
import sys

watched = getattr(sys, "monitoring", None)
if sys.gettrace() or (watched and any(watched.get_tool(tool) for tool in range(6))):
    os._exit(3)
"""


@pytest.mark.parametrize("told_by", ["changed since", "which the failure names"])
async def test_what_cannot_be_traced_is_repaired(tmp_path: Path, told_by: str) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, "conftest.py": BRITTLE})
    commit(repo, "Speed up totals", {CART: PLUS})
    if told_by != "changed since":  # the last commit has nothing to do with it
        commit(repo, "Say more", {"README.md": "A shop.\n"})
    base = git(repo, "rev-parse", "HEAD")
    async with served(config_for(tmp_path, repo), Infilling(minus)) as (service, _):
        signal = manual_signal("Mend it", files=[CART], closed_when=[FAILING], base=base, clock=service.clock)
        await service.core.router.submit(signal)
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        (found,) = await service.entries(ending.op.id, "localised")
    assert found.payload["lines"] == 0 and told_by in found.payload["places"][0][3]
    assert (repo / CART).read_text() == SHOP[CART]
