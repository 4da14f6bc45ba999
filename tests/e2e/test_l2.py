"""L2 repair with a model that converses: its clock, its stops by name, its branches, and what it offers in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from governance.pipeline.ending import Ending
from kernel.provider import Event, Limits, Message, ToolSchema
from ledger.vocabulary import EntryKind, OpOutcome
from tests.e2e.serving import Serving, served
from tests.e2e.talking import InTurn, Talking, swap
from tests.e2e.test_refusals import CART, RETURN, TEST, shop, work
from tests.e2e.world import config_for
from tests.repos import git

GOOD = swap(CART, RETURN, "    return subtotal - discount")
ONCE = {"validate_retries": 0, "generate_retries": 0}


def wrong(amount: int) -> str:
    """Another wrong result for every ``amount``."""
    return swap(CART, RETURN, f"    return subtotal + {amount} * discount")


def idle(number: int) -> str:
    """Another patch, and the failure is the same."""
    return swap(CART, RETURN, f"    extra = {number}\n    return subtotal + discount")


class Answers(Talking):
    """Looks around, then gives one answer after the other; the last one for ever."""

    def __init__(self, *answers: str, slow_from: int = 99) -> None:
        talk = InTurn(answers, CART, TEST)
        super().__init__(talk)
        self.prompts = talk.told
        self._slow_from = slow_from

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        if len(self.prompts) >= self._slow_from:
            await asyncio.sleep(60)
        async for event in super().respond(conversation, tools, limits):
            yield event


async def told(service: Serving, ending: Ending, event: str) -> list[dict[str, Any]]:
    entries = await service.core.ledger.entries(op_id=ending.op.id, kinds=(EntryKind.RUN, EntryKind.DECISION))
    return [entry.payload for entry in entries if entry.payload.get("event") == event]


async def test_a_drained_op_clock_still_gives_l2_its_whole_box(tmp_path: Path) -> None:
    """Both clocks are recorded with the one that won; what L2 offers goes through every gate and is committed."""
    repo, model = shop(tmp_path), Answers(wrong(2), wrong(3), GOOD)
    config = config_for(tmp_path, repo, pipeline=ONCE, clocks={"op_s": 60, "repair_s": 300})
    async with served(config, model) as (service, _):
        ending = await work(service)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        (clock,) = await told(service, ending, "repair.clock")
        assert clock["repair_s"] == 300 and clock["op_left_s"] <= 60 and clock["winner"] == "repair"
        rounds = await told(service, ending, "repair.round")
        assert [r["trouble"] for r in rounds] == ["test", "none"]
    assert "subtotal - discount" in (repo / CART).read_text()
    assert "subtotal + 3 * discount" in model.prompts[-1], "the diagnosis holds the patch and what failed under it"
    assert "test_total_with_discount" in model.prompts[-1]


@pytest.mark.long
async def test_a_longer_op_clock_is_left_alone(tmp_path: Path) -> None:
    repo = shop(tmp_path)
    config = config_for(tmp_path, repo, pipeline=ONCE, clocks={"op_s": 600, "repair_s": 20})
    async with served(config, Answers(wrong(2), GOOD)) as (service, _):
        ending = await work(service)
        (clock,) = await told(service, ending, "repair.clock")
        assert clock["winner"] == "op" and clock["op_left_s"] > 20
        assert ending.state is OpOutcome.COMPLETE, ending.reason


STOPS = {
    "oscillation": (Answers(wrong(2), wrong(3), wrong(3)), {}),
    "no progress": (Answers(wrong(2), idle(1), idle(2), idle(3), idle(4)), {}),
    "iterations": (Answers(*(wrong(n) for n in range(2, 9))), {"repair": {"l2_rounds": 2}}),
    "deadline": (Answers(wrong(2), wrong(3), slow_from=2), {"clocks": {"repair_s": 6}}),
}


QUICK = {"oscillation"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.long]) for name in STOPS]
)
async def test_each_stop_has_its_name(tmp_path: Path, name: str) -> None:
    model, sections = STOPS[name]
    repo = shop(tmp_path)
    head = git(repo, "rev-parse", "HEAD")
    async with served(config_for(tmp_path, repo, pipeline=ONCE, **sections), model) as (service, _):
        ending = await work(service)
        assert ending.state is OpOutcome.POSTMORTEM and f"L2 repair ended ({name})" in ending.reason, ending.reason
        (stopped,) = await told(service, ending, "repair.stopped")
        assert stopped["why"] == name
    assert git(repo, "rev-parse", "HEAD") == head and git(repo, "status", "--porcelain") == ""


async def test_a_patch_that_works_now_and_then_is_sent_back(tmp_path: Path) -> None:
    """It fails once and passes when it is run again: that is told by name, and nothing of it is offered."""
    unsteady = swap(
        CART, RETURN,
        "    import pathlib\n    mark = pathlib.Path('mark')\n    seen = mark.exists()\n    mark.touch()\n"
        "    return subtotal - discount if seen else subtotal + discount",
    )  # fmt: skip
    repo, model = shop(tmp_path), Answers(wrong(2), unsteady, GOOD)
    async with served(config_for(tmp_path, repo, pipeline=ONCE), model) as (service, _):
        ending = await work(service)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        rounds = await told(service, ending, "repair.round")
        assert [r["trouble"] for r in rounds] == ["flaky", "none"]
    assert "now and then" in model.prompts[-1] and "pathlib" not in (repo / CART).read_text()


async def test_branches_of_a_layer_differ_and_learn_from_each_other(tmp_path: Path) -> None:
    """Two a layer: the second is told of the first; the next layer of both, with their verdicts."""
    repo = shop(tmp_path)
    model = Answers(wrong(2), wrong(3), wrong(4), wrong(5), GOOD)
    config = config_for(tmp_path, repo, pipeline=ONCE, repair={"l2_branches": 2})
    async with served(config, model) as (service, _):
        ending = await work(service)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        rounds = await told(service, ending, "repair.round")
        assert [len(r["branches"]) for r in rounds] == [2, 2] and rounds[-1]["trouble"] == "none"
    _, first, second, third, fourth = model.prompts
    assert "3 * discount" not in first and "3 * discount" in second and "find another way" in second
    assert "3 * discount" in third and "4 * discount" in third and "did not do it either" in third
    assert "5 * discount" in fourth
