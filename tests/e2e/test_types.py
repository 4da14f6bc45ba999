"""A repository that configures mypy: a repair that turns the test green but breaks the types goes back."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from ledger.vocabulary import OpOutcome
from tests.e2e.world import SHOP, Infilling, config_for, ended, lived_in, repo_with
from tests.repos import commit

TYPED = {
    **SHOP,
    "pyproject.toml": SHOP["pyproject.toml"] + "[tool.mypy]\nstrict = true\n",
    "shop/cart.py": "def total(prices: list[int], discount: int = 0) -> int:\n    return sum(prices) - discount\n",
}
BROKEN = TYPED["shop/cart.py"].replace("- discount", "+ discount")
UNTYPED = "return float(sum(prices) - discount)"


async def test_new_type_errors_send_a_repair_back(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", TYPED)
    site = next((repo / ".venv" / "lib").glob("python*")) / "site-packages"
    mypy = sysconfig.get_paths()["purelib"]  # of this interpreter
    (site / "checker.pth").write_text(f"{mypy}\n")
    commit(repo, "Speed up", {"shop/cart.py": BROKEN})
    provider = Infilling(lambda prefix, suffix: [UNTYPED] if prefix.endswith("    ") else [])
    config = config_for(tmp_path, repo, repair={"moves": False}, tests={"readable": [mypy]})
    async with lived_in(config, provider) as (core, senses):
        await senses.scan(None)
        ending = await ended(core)
        assert ending.state is OpOutcome.POSTMORTEM
        rules = [f.rule for f in ending.dossier.feedback]
    assert "validate.types" in rules
    assert (repo / "shop/cart.py").read_text() == BROKEN
