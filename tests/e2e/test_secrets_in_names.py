"""Secrets in the names of tests and in files that are looked at: none of them is in the record, or in a commit."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from daemon.control.messages import OpRef
from daemon.record.replay import replay
from ledger.vocabulary import OpOutcome, Phase
from tests.e2e.serving import served
from tests.e2e.talking import Talking, after_a_look, swap
from tests.e2e.world import SHOP, config_for, ended, repo_with
from tests.repos import git

CART, TEST = "shop/cart.py", "tests/test_cart.py"
WEAK, KEY, NAMED = "correct" + "horse", "gh" + "p_" + "a1B2c3D4e5" * 3, "AK" + "IA" + "Q7RZP0VK2MX9SLW4"
RIGHT, WRONG = "return subtotal - discount", "return subtotal + discount"
FILES = {
    **SHOP,
    CART: SHOP[CART].replace(RIGHT, WRONG),
    TEST: (
        "import pytest\nfrom shop.cart import total\n\n"
        f'DB = {{"password": "{WEAK}"}}\n\n\n'
        f'@pytest.mark.parametrize("key", ["{KEY}"])\n'
        "def test_discount(key):\n    assert total([60, 40], discount=10) == 90\n\n\n"
        f"def test_{NAMED}():\n    assert total([60, 40], discount=10) == 90\n"
    ),
}


def unpacked(text: str) -> str:
    """A text with what it holds in base64: contents of files."""
    found = re.findall(r"[A-Za-z0-9+/]{40,}={0,2}", text)
    packed = [each for each in found if len(each) % 4 == 0]
    return text + "".join(base64.b64decode(each).decode("utf-8", errors="replace") for each in packed)


@pytest.mark.parametrize("unattended", ["listed", "nothing"])
async def test_no_secret_in_a_name_or_a_file_is_recorded(tmp_path: Path, unattended: str) -> None:
    """What a change rewrites stays whole only where it waits: there the changed file holds none."""
    beside = f'\n\nDB = {{"password": "{WEAK}"}}\n' if unattended == "listed" else ""
    repo = repo_with(tmp_path / "shop", {**FILES, CART: FILES[CART] + beside})
    config = config_for(tmp_path, repo, approval={"unattended": unattended})
    model = Talking(after_a_look(swap(CART, f"    {WRONG}", f"    {RIGHT}"), CART, TEST))
    async with served(config, model) as (service, api):
        found = await service.sensors.scan(None)
        assert found.signals, found
        ending = await ended(service.core)
        assert (ending.state is Phase.APPROVE) is (unattended == "nothing")
        while ending.state is Phase.APPROVE:
            await api.approve(OpRef(op=ending.op.id))
            ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        ledger = service.core.ledger
        report = await replay(ledger, op_id=ending.op.id)
        assert report.differences == (), report
        blobs = [await ledger.get_blob(str(sha)) for (sha,) in await ledger.query("SELECT sha256 FROM blobs")]
    told = b"\n".join(blobs).decode()
    told = unpacked(told) + git(repo, "log", "--all", "--format=%B")
    told += "".join(str(message.text) for turn in model.asked for message in turn)
    for file in config.places.state.glob("ledger*"):
        told += file.read_bytes().decode("utf-8", errors="replace")
    assert {name for name in (WEAK, KEY, NAMED) if name in told} == set()
    assert "[redacted:" in told
