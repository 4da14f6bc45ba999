"""Every reply of a model leaves its claim right behind its call, up to a bound."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from governance import record as recording
from governance.budget import Budget, BudgetSettings
from governance.conversation.model_client import ModelClient
from governance.grounding.claims import likeliest_bp, stated_bp
from governance.grounding.grading import READ, OpEnd, grade_at_end
from governance.record import Recorder
from kernel.provider import Done, Event, Infill, Limits, Message, TextDelta, Usage
from ledger.clock import ManualClock
from ledger.errors import ProviderBadOutput
from ledger.events.event import event_in
from ledger.events.grounding import About, ClaimMade, ClaimOutcome
from ledger.store import Ledger
from ledger.vocabulary import OpOutcome, Phase
from tests.governance.shopfloor import Priced

ASKED = [Message(role="user", text="What is wrong?")]


class Sure(Priced):
    """Says how sure it is; fails when it is told to."""

    fails = False

    async def respond(self, conversation: Any, tools: Any, limits: Limits) -> AsyncIterator[Event]:
        yield TextDelta(text="The sign. My password=hunter2hunter2\nconfidence: 0.9")
        if self.fails:
            raise ProviderBadOutput("torn", provider=self.name)
        yield Done(finish="stop", usage=Usage(tokens_in=1))


async def test_a_reply_leaves_its_claim_behind_its_call(
    ledger: Ledger, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_REPLIES", 2)
    budget = Budget(ledger=ledger, clock=clock, settings=BudgetSettings())
    await budget.prepare()
    model, record = Sure(), Recorder(ledger, op_id="op-1")
    client = ModelClient(
        provider=model, budget=budget, record=record, clock=clock, op_id="op-1", route="STANDARD", turn_s=30
    )  # fmt: skip
    for fails in (False, True, False):
        model.fails = fails
        try:
            await client.turn(Phase.GENERATE, "generate", ASKED, limits=Limits(max_tokens=16))
        except ProviderBadOutput:
            assert fails
    entries = await ledger.entries(op_id="op-1", events=READ)
    claims = [(at, claim) for at, entry in enumerate(entries) if (claim := event_in(entry, ClaimMade))]
    assert [entries[at - 1].payload["event"] for at, _ in claims] == ["call.ended", "call.ended"]
    assert [claim.confidence_bp for _, claim in claims] == [9_000, None]
    assert {str(key) for _, claim in claims for key in claim.keys} == {"reply priced/generate"}
    assert all("hunter2" not in entry.model_dump_json() for entry in entries)
    grades, beyond = grade_at_end(entries, OpEnd(state=OpOutcome.COMPLETE))
    assert [(g.about, g.outcome) for g in grades] == [(About.REPLY, ClaimOutcome.HIT), (About.REPLY, ClaimOutcome.MISS)]
    assert beyond == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [("x\nconfidence: 0.9", 9_000), ("x\n**Confidence: 85%**", 8_500), ("no word of it", None), ("", None)],
)
def test_an_answer_is_as_sure_as_it_says(text: str, said: int | None) -> None:
    assert stated_bp(text) == said


def test_a_batch_is_as_sure_as_its_likeliest_answer() -> None:
    rare, likely, unknown = (Infill(span=0, text="x", logprob_milli=milli) for milli in (-2_303, -105, 0))
    assert likeliest_bp([rare, likely]) == 9_003
    assert likeliest_bp([rare, unknown]) == 1_000
    assert likeliest_bp([unknown]) is None and likeliest_bp([]) is None
