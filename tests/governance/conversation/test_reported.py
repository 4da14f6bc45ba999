"""What a model call reports of itself stands in its entry; a collapse is a bad answer, not an outage."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.budget import Budget, BudgetSettings
from governance.conversation.model_client import ModelClient, collapse_fields, infill_fields, report_fields
from governance.pipeline.failure_causes import blame
from governance.pipeline.phase import ResultKind
from governance.record import Recorder
from kernel.canary import CollapseDetected
from kernel.provider import (
    Event,
    Infill,
    InfillRequest,
    InfillSpan,
    Limits,
    Message,
    Price,
    Provider,
    Report,
    ToolSchema,
)
from kernel.providers.reprompt import RepromptProvider
from kernel.providers.scripted import ProviderScript, ScriptedProvider
from ledger.canonical import canonical
from ledger.clock import ManualClock
from ledger.errors import BudgetExhausted, ProviderBadOutput
from ledger.store import Ledger
from ledger.vocabulary import Entry, EntryKind, FailureClass, Phase, RootCause

OP = "op-1"
DEEP = {"depth_milli": 2400, "exit": "gate", "proximity_milli": 930, "signal": "loop", "contraction_milli": 610}
REPORT_FIELDS = {"depth_milli", "exit", "proximity_milli", "signal", "contraction_milli"}
FIX = (Message(role="user", text="Fix the bug in cart.py."),)
ROOM = Limits(max_tokens=1_000)
REPORTS = st.builds(
    Report,
    depth_milli=st.integers(1_000, 16_000),
    contraction_milli=st.none() | st.integers(0, 2_000),
    exit=st.sampled_from(["depth", "gate", "converged"]),
    proximity_milli=st.integers(0, 1_000),
    signal=st.sampled_from(["none", "loop", "surprise"]),
)


def plays(*turns: dict[str, object], **fields: object) -> ScriptedProvider:
    price = Price(input=1_000_000, output=1_000_000)
    return ScriptedProvider(script=ProviderScript.model_validate({"price": price, "turns": turns, **fields}))


async def asking(ledger: Ledger, clock: ManualClock, provider: Provider, **ceilings: int) -> tuple[ModelClient, Budget]:
    budget = Budget(ledger=ledger, clock=clock, settings=BudgetSettings().model_copy(update=ceilings))
    await budget.prepare()
    record = Recorder(ledger, op_id=OP)
    client = ModelClient(
        provider=provider, budget=budget, record=record, clock=clock, op_id=OP, route="STANDARD", turn_s=30
    )
    return client, budget


async def ask(client: ModelClient) -> str:
    return (await client.turn(Phase.GENERATE, "generate", FIX, limits=ROOM)).text


async def entries(ledger: Ledger) -> tuple[Entry, Entry]:
    started, ended = await ledger.entries(kinds=(EntryKind.CALL,))
    return started, ended


class Watched(ScriptedProvider):
    """Says when it is asked for the second time."""

    def __init__(self, *turns: dict[str, object]) -> None:
        price = Price(input=1_000_000, output=1_000_000)
        super().__init__(script=ProviderScript.model_validate({"price": price, "turns": turns}))
        self.asked_again = asyncio.Event()

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        if self.sent:
            self.asked_again.set()
        async for event in super().respond(conversation, tools, limits):
            yield event


def told(entry: Entry) -> dict[str, object]:
    return {name: value for name, value in entry.payload.items() if name in REPORT_FIELDS}


# --- in the entry -----------------------------------------------------------------------------------------------------


async def test_a_report_stands_in_the_entry_of_its_call(ledger: Ledger, clock: ManualClock) -> None:
    client, _ = await asking(ledger, clock, plays({"text": "deep", "report": DEEP}))
    await ask(client)
    _, ended = await entries(ledger)
    assert told(ended) == DEEP and ended.payload["problem"] == ""


async def test_without_a_report_there_is_no_word_of_it(ledger: Ledger, clock: ManualClock) -> None:
    client, _ = await asking(ledger, clock, plays({"text": "plain"}))
    await ask(client)
    _, ended = await entries(ledger)
    assert told(ended) == {}


async def test_infills_are_reported_as_one(ledger: Ledger, clock: ManualClock) -> None:
    calm = {"depth_milli": 1200, "exit": "gate", "proximity_milli": 20, "signal": "none"}
    infills = [{"prefix_ends": "a", "texts": ["x"], "report": DEEP}, {"texts": ["y"], "report": calm}]
    client, _ = await asking(ledger, clock, plays(infill=True, infills=infills))
    spans = (InfillSpan(prefix="a", suffix=""), InfillSpan(prefix="b", suffix=""), InfillSpan(prefix="c", suffix=""))
    await client.infill(Phase.GENERATE, "infill: first", InfillRequest(spans=spans))
    _, ended = await entries(ledger)
    assert told(ended) == {"depth_milli": 1600, "exit": "gate", "proximity_milli": 930, "signal": "loop"}


@settings(deadline=None)
@given(st.lists(st.none() | REPORTS, max_size=5))
def test_of_many_the_worst_and_the_mean(reports: list[Report | None]) -> None:
    fields = infill_fields([Infill(span=0, text="", report=report) for report in reports])
    known = [report for report in reports if report is not None]
    assert bool(fields) == bool(known)
    if known:
        depths = [report.depth_milli for report in known]
        assert min(depths) <= fields["depth_milli"] <= max(depths)
        assert fields["proximity_milli"] == max(report.proximity_milli for report in known)
        assert fields["exit"] in {report.exit for report in known}
    assert canonical(fields) and all(canonical(report_fields(report)) for report in reports)


# --- a collapse -------------------------------------------------------------------------------------------------------


async def test_a_collapse_is_named_and_paid_for(ledger: Ledger, clock: ManualClock) -> None:
    client, budget = await asking(ledger, clock, plays({"text": "no " * 120, "error": "collapsed"}))
    with pytest.raises(CollapseDetected):
        await ask(client)
    _, ended = await entries(ledger)
    assert ended.payload["problem"] == "collapsed"
    assert told(ended) == {"exit": "collapsed", "proximity_milli": 1000, "signal": "loop"}
    assert ended.payload["tokens_out"] == 100
    assert (await budget.spent_by(OP)).tokens_out == 100


def test_a_collapse_is_no_outage() -> None:
    error = CollapseDetected(0.97, "loop", 312)
    result = blame(error)
    assert (result.kind, result.cause, result.failure) == (
        ResultKind.FAILED, RootCause.COLLAPSE, FailureClass.COLLAPSE,
    )  # fmt: skip
    assert blame(ProviderBadOutput("x", provider="p")).cause is RootCause.PROVIDER_BAD_OUTPUT
    assert collapse_fields(error)["proximity_milli"] == 970 and collapse_fields(ValueError()) == {}


# --- a turn of several passes -----------------------------------------------------------------------------------------


async def test_every_pass_is_paid_for(ledger: Ledger, clock: ManualClock) -> None:
    script = plays({"text": "One.\nconfidence: 0.2"}, {"text": "Two.\nconfidence: 0.9"})
    client, budget = await asking(
        ledger, clock, RepromptProvider(script, passes=4, clock=clock), per_call_usd_micro=10**6
    )
    assert await ask(client) == "Two."
    started, ended = await entries(ledger)
    read = sum(sum(len(m.text) + 1 for m in sent) - 1 for sent in script.sent) // 4
    assert abs(ended.payload["tokens_in"] - read) <= 1 and ended.payload["tokens_out"] == 10
    assert ended.payload["depth_milli"] == 2000 and ended.payload["exit"] == "threshold_met"
    assert (await budget.spent_by(OP)).usd_micro == ended.payload["tokens_in"] + 10
    assert started.payload["max_tokens"] == 4_000 and started.payload["tokens_in"] > ended.payload["tokens_in"]


async def test_what_all_passes_may_cost_is_held_before_the_first(ledger: Ledger, clock: ManualClock) -> None:
    script = plays({"text": "One."})
    client, _ = await asking(ledger, clock, RepromptProvider(script, passes=4, clock=clock), per_call_usd_micro=4_000)
    with pytest.raises(BudgetExhausted):
        await ask(client)
    assert script.sent == []


async def test_a_pass_that_is_late_leaves_the_answer_before_it(ledger: Ledger, clock: ManualClock) -> None:
    script = plays({"text": "One of many words.\nconfidence: 0.2"}, {"text": "x", "delay_s": 60.0})
    client, _ = await asking(ledger, clock, RepromptProvider(script, passes=4), per_call_usd_micro=10**6)
    turn = await client.turn(Phase.GENERATE, "generate", FIX, limits=ROOM.model_copy(update={"timeout_s": 2.0}))
    assert turn.text == "One of many words."
    _, ended = await entries(ledger)
    assert (ended.payload["problem"], ended.payload["exit"]) == ("", "cut_short")


@pytest.mark.parametrize("end", ["cancelled", "collapsed"])
async def test_passes_are_paid_for_when_no_answer_comes(ledger: Ledger, clock: ManualClock, end: str) -> None:
    turns: list[dict[str, object]] = [{"text": "One of many words.\nconfidence: 0.2"}, {"text": "x", "delay_s": 60.0}]
    if end == "collapsed":
        turns = [{"text": "no " * 120}]
    script = Watched(*turns)
    client, budget = await asking(
        ledger, clock, RepromptProvider(script, passes=4, clock=clock), per_call_usd_micro=10**6
    )
    task = asyncio.create_task(ask(client))
    if end == "cancelled":
        await script.asked_again.wait()
        task.cancel()
    with pytest.raises(asyncio.CancelledError if end == "cancelled" else CollapseDetected):
        await task
    _, ended = await entries(ledger)
    assert ended.payload["problem"] == end
    first = len(str(turns[0]["text"])) // 4
    assert ended.payload["tokens_out"] == first
    assert (await budget.spent_by(OP)).usd_micro == ended.payload["tokens_in"] + first
    assert ended.payload["tokens_in"] > (100 if end == "cancelled" else 30)


# --- what the policy makes of it --------------------------------------------------------------------------------------

ALARMED = {**DEEP, "alarm": True}
HOLES = (InfillSpan(prefix="a", suffix=""), InfillSpan(prefix="b", suffix=""))


async def test_what_a_provider_only_observes_is_discarded_all_the_same(ledger: Ledger, clock: ManualClock) -> None:
    client, _ = await asking(ledger, clock, plays({"text": "no no no", "report": ALARMED}))
    with pytest.raises(CollapseDetected) as caught:
        await ask(client)
    assert (caught.value.proximity, caught.value.signal) == (0.93, "loop")
    (_, ended), (decided,) = await entries(ledger), await ledger.entries(kinds=(EntryKind.DECISION,))
    assert ended.payload["problem"] == "collapsed" and ended.payload["proximity_milli"] == 930
    assert decided.payload["event"] == "grounding.decided" and decided.payload["proximity_milli"] == 930
    assert decided.payload["asked"]["act"] is False


async def test_a_restless_answer_counts_and_leaves_less_time(ledger: Ledger, clock: ManualClock) -> None:
    calm = {"text": "b", "report": {"proximity_milli": 20}}
    client, _ = await asking(ledger, clock, plays({"text": "a", "report": {"proximity_milli": 690}}, calm, calm))
    assert client.scale_milli == 1_000
    assert await ask(client) == "a"
    assert client.scale_milli == 625
    assert await ask(client) == "b" and client.scale_milli == 625, "one calm answer does not undo it"
    (decided,) = await ledger.entries(kinds=(EntryKind.DECISION,))
    asked = {"min_sources": 3, "deep": True, "budget_scale_milli": 625, "act": True}
    assert decided.payload["asked"] == asked


async def test_of_holes_those_that_collapsed_are_left_out(ledger: Ledger, clock: ManualClock) -> None:
    infills = [{"prefix_ends": "a", "texts": ["x"], "report": ALARMED}, {"texts": ["y"], "report": {}}]
    client, _ = await asking(ledger, clock, plays(infill=True, infills=infills))
    found = await client.infill(Phase.GENERATE, "infill: first", InfillRequest(spans=HOLES))
    assert [(one.span, one.text) for one in found] == [(1, "y")]
    assert client.scale_milli == 1_000 and await ledger.entries(kinds=(EntryKind.DECISION,)) == []


async def test_holes_that_all_collapsed_are_a_collapse(ledger: Ledger, clock: ManualClock) -> None:
    client, _ = await asking(ledger, clock, plays(infill=True, infills=[{"texts": ["x"], "report": ALARMED}]))
    with pytest.raises(CollapseDetected):
        await client.infill(Phase.GENERATE, "infill: first", InfillRequest(spans=HOLES))
    _, ended = await entries(ledger)
    assert ended.payload["problem"] == "collapsed"


def test_a_full_disk_is_told_in_words() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/state/keys/signing")
    said = blame(error).reason
    assert (
        said == "/state/keys/signing cannot be used: No space left on device. Free space on that disk, then try again."
    )
