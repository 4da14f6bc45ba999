"""Two mistakes at once: what mends a part is kept, and both parts are committed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ledger.vocabulary import OpOutcome
from sensors.requests.manual import manual_signal
from tests.e2e.serving import served
from tests.e2e.world import SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit, git

CART, SHIPPING, TEST = "shop/cart.py", "shop/shipping.py", "tests/test_both.py"
FEE = 'def fee(amount):\n    """Free from fifty on."""\n    if amount >= 50:\n        return 0\n    return 5\n'
BOTH = (
    "from shop.cart import total\nfrom shop.shipping import fee\n\n\n"
    "def test_fee():\n    assert fee(50) == 0 and fee(49) == 5\n\n\n"
    "def test_off():\n    assert total([60, 40], discount=10) == 90\n\n\n"
    "def test_both():\n    assert total([60], discount=20) + fee(50) == 40\n"
)
FILES = SHOP | {SHIPPING: FEE, TEST: BOTH}
BROKEN = {
    CART: SHOP[CART].replace("subtotal - discount", "subtotal + discount"),
    SHIPPING: FEE.replace(">= 50", "> 50"),
}
FAILING = [f"{TEST}::test_fee", f"{TEST}::test_off", f"{TEST}::test_both"]


def writes(prefix: str, suffix: str) -> Sequence[str]:
    """The right line where each of the two is asked for, and nothing else."""
    if prefix.endswith("    ") and "discount" not in suffix and "subtotal = sum(prices)" in prefix[-60:]:
        return ["return subtotal - discount"]
    if prefix.endswith('on."""\n    '):
        return ["if amount >= 50:"]
    return []


def nothing(prefix: str, suffix: str) -> Sequence[str]:
    return []


@pytest.mark.parametrize(
    ("model", "moves"),
    [pytest.param(writes, False, id="written"), pytest.param(nothing, True, id="moves", marks=pytest.mark.long)],
)
async def test_two_mistakes_are_mended_together(
    tmp_path: Path, model: Callable[[str, str], Sequence[str]], moves: bool
) -> None:
    repo = repo_with(tmp_path / "shop", FILES)
    base = commit(repo, "Break both", BROKEN)
    config = config_for(tmp_path, repo, repair={"moves": moves})
    async with served(config, Infilling(model)) as (service, _):
        signal = manual_signal("Make all three pass", closed_when=FAILING, base=base, clock=service.clock)
        await service.core.router.submit(signal)
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        kept = await service.entries(ending.op.id, "branched")
        assert kept and kept[0].payload["mended"] >= 1 and kept[0].payload["left"] >= 1
        told = await service.told(ending.op.id)
        assert "searched from there" in told and "Ouro-Evidence: verified" in git(repo, "log", "-1")
        assert all((why in git(repo, "log", "-1")) == moves for why in ("(operator)", "(comparison)"))
    assert {path: (repo / path).read_text() for path in BROKEN} == {path: FILES[path] for path in BROKEN}


@pytest.mark.long
async def test_without_bases_two_mistakes_stay(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", FILES)
    base = commit(repo, "Break both", BROKEN)
    config = config_for(tmp_path, repo, repair={"branches": 0})
    async with served(config, Infilling(writes)) as (service, _):
        signal = manual_signal("Make all three pass", closed_when=FAILING, base=base, clock=service.clock)
        await service.core.router.submit(signal)
        ending = await ended(service.core)
        assert ending.state is OpOutcome.POSTMORTEM, ending.reason
    assert git(repo, "rev-parse", "HEAD") == base
