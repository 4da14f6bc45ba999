"""What the canary said of an attempt's answers takes time away from what is still asked, and is felt by every call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from governance.budget import Budget, BudgetSettings
from governance.conversation.answer_verdict import AnswerVerdict
from governance.conversation.form import ConversationForm
from governance.conversation.history import Opening
from governance.conversation.model_client import ModelClient
from governance.conversation.rounds import Conversation
from governance.grounding.canary_tracker import CanaryTracker
from governance.grounding.policy import PolicyInputs, PolicySettings, grounding
from governance.record import Recorder
from kernel.canary import CollapseDetected
from kernel.provider import (
    CallDelta,
    Capabilities,
    Done,
    Event,
    Infill,
    InfillAnswer,
    InfillRequest,
    InfillSpan,
    Limits,
    Message,
    Report,
    TextDelta,
    ToolCall,
    Usage,
)
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Complexity, Phase, Tier
from tests.governance.crewed import crew_in
from tests.governance.shopfloor import Priced
from tests.repos import make_repo

ASKED = [Message(role="user", text="What is wrong?")]
TURN_S = 30.0


class Nearing(Priced):
    """Answers at the ``near`` that it is told, and notes how long each call may take."""

    capabilities = Capabilities(tools=True, infill=True)

    def __init__(self) -> None:
        super().__init__()
        self.near = 0
        self.seconds: list[float] = []

    @property
    def _report(self) -> Report:
        return Report(proximity_milli=self.near, signal="echo")

    async def respond(self, conversation: Any, tools: Any, limits: Limits) -> AsyncIterator[Event]:
        self.seconds.append(limits.timeout_s)
        yield TextDelta(text="hm")
        yield CallDelta(call=ToolCall(id="1", name="read_file", arguments=f'{{"path": "f{len(self.seconds)}.py"}}'))
        yield Done(finish="calls", usage=Usage(), report=self._report)

    async def infill(self, request: InfillRequest) -> InfillAnswer:
        self.seconds.append(request.timeout_s)
        return InfillAnswer(infills=(Infill(span=0, text="x", report=self._report),), usage=Usage())


async def asker_of(ledger: Ledger, clock: ManualClock, model: Nearing, settings: PolicySettings) -> ModelClient:
    budget = Budget(ledger=ledger, clock=clock, settings=BudgetSettings())
    await budget.prepare()
    return ModelClient(
        provider=model, budget=budget, record=Recorder(ledger, op_id="op-1"), clock=clock, op_id="op-1",
        route="STANDARD", turn_s=TURN_S, canary=CanaryTracker(), ground=PolicyInputs(settings=settings),
    )  # fmt: skip


async def one_call(client: ModelClient, *, holes: bool) -> None:
    if holes:
        hole = InfillRequest(spans=(InfillSpan(prefix="return ", suffix="\n"),))
        await client.infill(Phase.GENERATE, "infill: lines", hole)
    else:
        await client.turn(Phase.GENERATE, "generate", ASKED, limits=Limits(max_tokens=16))


@pytest.mark.parametrize("holes", [False, True], ids=["conversation", "search"])
@pytest.mark.parametrize("policy", [True, False])
async def test_each_call_has_what_the_worst_answer_before_it_leaves(
    ledger: Ledger, clock: ManualClock, holes: bool, policy: bool
) -> None:
    model, settings = Nearing(), PolicySettings(policy=policy)
    client = await asker_of(ledger, clock, model, settings)
    near = (400, 600, 300, 850, 870)
    for model.near in near:
        await one_call(client, holes=holes)
    felt = [max(near[:number], default=0) for number in range(len(near))]
    scales = [grounding(Tier.SAFE_AUTO, Complexity.SIMPLE, 5_000, at, settings).budget_scale_milli for at in felt]
    assert model.seconds == [pytest.approx(TURN_S * scale / 1_000) for scale in scales]
    assert model.seconds == sorted(model.seconds, reverse=True) and (model.seconds[-1] < TURN_S) == policy


@pytest.mark.parametrize("holes", [False, True], ids=["conversation", "search"])
async def test_an_answer_over_the_owners_own_level_is_none(ledger: Ledger, clock: ManualClock, holes: bool) -> None:
    """Whatever its provider makes of it, and with the policy off as well."""
    model = Nearing()
    client = await asker_of(ledger, clock, model, PolicySettings(alarm_milli=600, policy=False))
    model.near = 600
    with pytest.raises(CollapseDetected):
        await one_call(client, holes=holes)
    assert client.scale_milli == 1_000, "what is discarded is not felt by the attempts behind it"


@pytest.mark.parametrize(("near", "rounds"), [(0, 8), (750, 4), (870, 2)])
async def test_a_restless_conversation_has_fewer_rounds(
    ledger: Ledger, clock: ManualClock, tmp_path: Path, near: int, rounds: int
) -> None:
    repo, model = make_repo(tmp_path / "repo", {f"f{n}.py": f"x = {n}\n" for n in range(9)}), Nearing()
    model.near = near

    async def judge(text: str) -> AnswerVerdict:
        return AnswerVerdict(useful=False)

    async with crew_in(repo, ledger, clock, model, rounds=8, explore_rounds=20) as (ctx, context):
        conversation = Conversation(
            ctx=ctx, phase=Phase.GENERATE, purpose="generate", opening=Opening(system="S", user="U", standing="S"),
            context=context, judge=judge, manner=ConversationForm.NATIVE, limits=Limits(max_tokens=16),
        )  # fmt: skip
        assert (await conversation.run()).rounds == rounds == len(model.seconds)


async def test_how_an_attempt_behind_a_collapse_is_asked_stands_in_the_record(
    ledger: Ledger, clock: ManualClock
) -> None:
    client = await asker_of(ledger, clock, Nearing(), PolicySettings())
    hole = InfillRequest(spans=(InfillSpan(prefix="return ", suffix="\n"),), samples=2, temperature=0.4)
    for milli in (0, 930):
        await client.turn(Phase.GENERATE, "generate", ASKED, limits=Limits(max_tokens=16, caution_milli=milli))
        await client.infill(Phase.GENERATE, "infill: lines", hole.model_copy(update={"caution_milli": milli}))
    started = [e.payload for e in await ledger.entries() if e.payload["event"] == "call.started"]
    told = [(p.get("caution_milli"), p.get("temperature_milli")) for p in started]
    assert told == [(None, None), (None, None), (930, 0), (930, 400)]
