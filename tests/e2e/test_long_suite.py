"""A suite that does not fit its budget: what reaches the change is run, the owner is told, the commit says what ran."""

from __future__ import annotations

from pathlib import Path

from ledger.vocabulary import OpOutcome
from sensors.requests.manual import manual_signal
from tests.e2e.serving import served
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit, git

CART, FAILING = "shop/cart.py", "tests/test_cart.py::test_total_with_discount"
SLOW = "import time\n\n\n" + "".join(f"def test_{n}():\n    time.sleep(1)\n\n\n" for n in range(9))


async def test_what_reaches_the_change_is_run_and_the_rest_is_not_claimed(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, "tests/test_slow.py": SLOW})
    base = commit(repo, "Speed up totals", {CART: PLUS})
    config = config_for(tmp_path, repo, pipeline={"suite_budget_s": 5})
    async with served(config, Infilling(minus)) as (service, _):
        signal = manual_signal("Mend it", files=[CART], closed_when=[FAILING], base=base, clock=service.clock)
        await service.core.router.submit(signal)
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assigned = await service.entries(ending.op.id, "tier.assigned")
    assert any("the whole suite did not run" in why for entry in assigned for why in entry.payload["reasons"])
    message = git(repo, "log", "-1", "--format=%B")
    assert "Ouro-Risk: NOTIFY_APPLY" in message and "Ouro-Verified: 2/2 tests" in message
    assert (repo / CART).read_text() == SHOP[CART]
