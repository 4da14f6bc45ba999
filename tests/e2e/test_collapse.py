"""A model whose answer collapses: the op goes on without that answer, and the record says what happened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from governance.conversation import prompts
from kernel.canary import CollapseDetected
from kernel.provider import Event, Limits, Message, TextDelta, ToolSchema
from ledger.vocabulary import FailureClass, OpOutcome, RootCause
from tests.e2e.serving import served
from tests.e2e.talking import Talking, after_a_look
from tests.e2e.test_refusals import CART, GOOD, TEST, WORDY, shop, work
from tests.e2e.world import config_for


class Collapsing(Talking):
    """Collapses when it is to choose files and to plan, then ``times`` more."""

    def __init__(self, times: int) -> None:
        super().__init__(after_a_look(GOOD, CART, TEST))
        self.left = times

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        plans = conversation[0].text in (prompts.EXPAND, prompts.PLAN)
        if plans or self.left > 0:
            self.left -= not plans
            yield TextDelta(text="no no no no")
            raise CollapseDetected(0.97, "loop", 4, provider=self.name)
        async for event in super().respond(conversation, tools, limits):
            yield event


async def test_an_op_survives_answers_that_collapse(tmp_path: Path) -> None:
    model = Collapsing(1)
    async with served(config_for(tmp_path, shop(tmp_path)), model) as (service, _):
        ending = await work(service, WORDY)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        ended = [e.payload for e in await service.entries(ending.op.id, "call.ended")]
        told = await service.told(ending.op.id)
    bad = [payload for payload in ended if payload["problem"] == "collapsed"]
    assert {payload["purpose"] for payload in bad} == {"expansion", "plan", "generate"}
    assert all((p["proximity_milli"], p["signal"], p["exit"]) == (970, "loop", "collapsed") for p in bad)
    assert "generate.collapse" in "\n".join(m.text for m in model.asked[0]), "the next attempt is told"
    assert "model: generate in " in told and "canary 0.97 loop · collapsed" in told


async def test_an_op_that_only_collapses_ends_so(tmp_path: Path) -> None:
    config = config_for(tmp_path, shop(tmp_path), pipeline={"generate_retries": 1})
    async with served(config, Collapsing(9)) as (service, _):
        ending = await work(service)
    assert (ending.state, ending.cause) == (OpOutcome.POSTMORTEM, RootCause.COLLAPSE), ending.reason
    assert ending.failure is FailureClass.COLLAPSE and "collapsed (loop)" in ending.reason
