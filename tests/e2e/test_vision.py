"""A picture of an error, from the folder that it appears in to the commit that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.control.messages import OpRef
from kernel.provider import Message
from ledger.vocabulary import OpOutcome, OwnerConfirms, RootCause, Source, TestsPass
from tests.e2e.serving import Serving, served
from tests.e2e.talking import Said, Talking, after_a_look, looked, swap
from tests.e2e.world import PLUS, SHOP, config_for, ended, repo_with
from tests.repos import git
from tests.sensors.vision.pictures import PRINTED, png

CART = "shop/cart.py"
RETURN, CAREFUL = "return subtotal - discount", "return max(0, subtotal - discount)"
TRACE = (
    "Traceback (most recent call last)\n"
    '  File "/srv/till/shop/cart.py", line 4, in total\n'
    "    secret line of a colleague\n"
    "ValueError: a total below zero, token ghp_0123456789abcdefghijklmnopqrstuvwxyzAB\n"
)
FAILED = "FAILED tests/test_cart.py::test_total with_discount - assert 110 == 90\n"


def settings(base: Path) -> dict[str, Any]:
    """Pictures appear outside of the repository, and a plain program reads them."""
    reader = base / "reader"
    reader.write_text(PRINTED)
    reader.chmod(0o755)
    vision = {"enabled": True, "folder": str(base / "shots"), "program": str(reader)}
    return {"test_failure": {"debounce_s": 600}, "router": {"coalesce_s": 0}, "sensors": {"vision": vision}}


async def shown(service: Serving, base: Path, text: str) -> None:
    """The watcher stands, then a picture appears in a folder that was not there."""
    await service.sensors._watcher.ready.wait()
    (base / "shots").mkdir()
    (base / "shots" / "now.png").write_bytes(png(text))
    await service.until("sensor_said", sensor="vision_sensor")


async def test_an_error_on_a_picture_is_mended_once_the_owner_agrees_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    first = git(repo, "rev-parse", "HEAD")
    model = Talking(after_a_look(swap(CART, RETURN, CAREFUL), CART), changes=[CART])
    async with served(config_for(tmp_path, repo, **settings(tmp_path)), model, watch=True) as (service, api):
        await shown(service, tmp_path, TRACE)
        waiting = await ended(service.core)
        assert waiting.request is not None, (waiting.state, waiting.reason)
        assert (waiting.op.origin, waiting.op.targets) == (Source("vision_sensor"), (CART,))
        assert isinstance(waiting.op.signals[0].closure, OwnerConfirms)
        assert git(repo, "rev-parse", "HEAD") == first
        await api.approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        kept = str(await service.core.ledger.query("SELECT group_concat(body) FROM entries"))
        kept += str(await service.core.ledger.query("SELECT group_concat(CAST(data AS TEXT)) FROM blobs"))
        assert "a total below zero" in kept
        for text in ("ghp_0123456789", "secret line", "/srv/till"):
            assert text not in kept + str(model.asked) + git(repo, "log", "-1", "--format=%B"), text
    assert git(repo, "rev-parse", "HEAD^") == first
    assert CAREFUL in (repo / CART).read_text()


@pytest.mark.long
async def test_green_tests_but_for_the_one_on_the_picture_are_not_enough(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, CART: PLUS})
    first = git(repo, "rev-parse", "HEAD")
    told: list[str] = []

    def say(conversation: Sequence[Message]) -> Said:
        if not any(m.role == "tool" for m in conversation):
            return looked(CART)
        told.append("\n".join(m.text for m in conversation))
        return swap(CART, "return subtotal + discount", f"return subtotal + discount + {len(told)} * 0")

    async with served(config_for(tmp_path, repo, **settings(tmp_path)), Talking(say), watch=True) as (service, _):
        await shown(service, tmp_path, FAILED)
        ending = await ended(service.core)
        assert ending.op.origin is Source("vision_sensor")
        assert ending.op.signals[0].closure == TestsPass(ids=("tests/test_cart.py::test_total_with_discount",))
        assert ending.state is OpOutcome.POSTMORTEM, (ending.cause, ending.reason)
        assert ending.cause in (RootCause.TESTS_FAILED, RootCause.NO_CANDIDATE), ending.reason
    assert told and git(repo, "rev-parse", "HEAD") == first
