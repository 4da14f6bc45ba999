"""Several repairs pass the tests: where they do not do the same, the owner hears of it before one is applied."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.vocabulary import OpOutcome
from sensors.requests.manual import manual_signal
from tests.e2e.serving import served
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit, git

CART, FAILING = "shop/cart.py", "tests/test_cart.py::test_total_with_discount"


@pytest.mark.parametrize(
    ("other", "compared", "tier"),
    [
        pytest.param("subtotal - abs(discount)", 3, "NOTIFY_APPLY", id="another"),
        pytest.param("subtotal + -1 * discount", 3, "SAFE_AUTO", id="the-same"),
        pytest.param("subtotal - abs(discount)", 0, "SAFE_AUTO", id="off", marks=pytest.mark.long),
    ],
)
async def test_repairs_that_pass_are_compared(tmp_path: Path, other: str, compared: int, tier: str) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    base = commit(repo, "Speed up totals", {CART: PLUS})
    # The model writes one that passes; a small edit at the same line gives another.
    model = Infilling(lambda prefix, _: [f"return {other}"] if prefix.endswith("sum(prices)\n    ") else [])
    async with served(config_for(tmp_path, repo, repair={"compared": compared}), model) as (service, _):
        goal = "Make the discount count again"
        signal = manual_signal(goal, files=[CART], closed_when=[FAILING], base=base, clock=service.clock)
        await service.core.router.submit(signal)
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        told, notes = await service.told(ending.op.id), await service.entries(ending.op.id, "compared")
        decided = await service.entries(ending.op.id, "tier.assigned")
    assert other in (repo / CART).read_text()
    assert f"Ouro-Risk: {tier}" in git(repo, "log", "-1")
    assert [note.payload["repairs"] for note in notes] == ([2] if compared else [])
    assert all(note.payload["inputs"] > 10 for note in notes)
    assert ("2 repairs pass, and differ where no test looks: total(prices=" in told) == (tier == "NOTIFY_APPLY")
    assert ("2 repairs pass, and do the same with" in told) == (compared and tier == "SAFE_AUTO")
    reasons = [reason for decision in decided for reason in decision.payload["reasons"]]
    assert any("(replace an expression at shop/cart.py:4 (operator))" in why for why in reasons) == (
        tier == "NOTIFY_APPLY"
    )
