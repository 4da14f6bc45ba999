"""The word for how well a repair is proven is never better than what was held back from its author."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensors.requests.manual import manual_signal
from tests.e2e.serving import served
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import git

TWICE = """from shop.cart import total


class Base:
    def test_total(self):
        assert total([60, 40], discount=10) == 90


class TestOne(Base):
    pass


class TestTwo(Base):
    pass
"""
CLAIMED = """from shop.cart import total


class Odd:
    def __init__(self, value):
        self.value, self.by = value, lambda: 0

    def __eq__(self, other):
        return self.value == other.value


def test_one():
    assert Odd(total([60, 40], discount=10)) == Odd(90)


def test_two():
    assert Odd(total([6, 4], discount=1)) == Odd(9)
"""
TESTS = "tests/test_cart.py"


@pytest.mark.parametrize(
    ("text", "tests"),
    [
        pytest.param(TWICE, (f"{TESTS}::TestOne::test_total", f"{TESTS}::TestTwo::test_total"), id="one test twice"),
        pytest.param(CLAIMED, (f"{TESTS}::test_one", f"{TESTS}::test_two"), id="nobody else can compare"),
    ],
)
async def test_what_its_author_knows_or_nobody_can_check_is_not_called_verified(
    tmp_path: Path, text: str, tests: tuple[str, ...]
) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, "shop/cart.py": PLUS, TESTS: text})
    async with served(config_for(tmp_path, repo), Infilling(lambda prefix, suffix: [])) as (service, _):
        base = git(repo, "rev-parse", "HEAD")
        signal = manual_signal("Mend it", closed_when=tests, files=[], base=base, clock=service.clock)
        await service.core.router.submit(signal)
        op_id = (await ended(service.core)).op.id
        told = await service.told(op_id)
        (made,) = await service.entries(op_id, "candidate")
    assert made.payload["tree"] == base  # what `ouro diff` compares it with
    said = git(repo, "log", "-1", "--format=%(trailers:key=Ouro-Evidence,valueonly)")
    assert said.startswith("plausible; ") and f"evidence: {said}" in told and "verified;" not in told
