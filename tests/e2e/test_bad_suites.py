"""A bug is repaired beside tests that misbehave: they change neither the verdict nor the owner's files, nor live on."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.vocabulary import OpOutcome
from sensors.requests.manual import manual_signal
from tests.e2e.serving import served
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit, git
from tests.tools.testing.test_hard_suites import BINARY, DAEMONS, MEMORY, NET, WRITES
from tests.tools.testing.test_warm import is_running

CART, FAILING = "shop/cart.py", "tests/test_cart.py::test_total_with_discount"
BAD = {
    "quick": {"net": NET.format("192.0.2.1"), "binary": BINARY, "daemons": DAEMONS, "writes": WRITES},
    "memory": {"memory": MEMORY},
}


@pytest.mark.parametrize("which", ["quick", pytest.param("memory", marks=pytest.mark.long)])
async def test_what_misbehaves_stands_in_nobodys_way(tmp_path: Path, which: str) -> None:
    bad = {f"tests/test_z_{name}.py": source for name, source in BAD[which].items()}
    repo = repo_with(tmp_path / "shop", {**SHOP, **bad})
    base = commit(repo, "Speed up totals", {CART: PLUS})
    async with served(config_for(tmp_path, repo), Infilling(minus)) as (service, _):
        signal = manual_signal("Mend it", files=[CART], closed_when=[FAILING], base=base, clock=service.clock)
        await service.core.router.submit(signal)
        ending = await ended(service.core)
        told = await service.told(ending.op.id)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason, told)
        assert (await service.core.ledger.verify()).ok
    assert git(repo, "show", "--format=", "--name-only", "HEAD").split() == [CART]
    assert (repo / CART).read_text() == SHOP[CART]
    assert git(repo, "status", "--porcelain") == "" and not is_running("4322")
