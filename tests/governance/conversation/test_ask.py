"""The one way a model is called: asked of the budget first, recorded before and after, settled whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from governance.budget import Budget, BudgetSettings
from governance.conversation.model_client import ModelClient
from governance.record import Recorder
from kernel.provider import (
    Capabilities,
    DivergeRequest,
    Done,
    Event,
    Health,
    Infill,
    InfillAnswer,
    InfillRequest,
    InfillSpan,
    Limits,
    Message,
    Price,
    TextDelta,
    ToolSchema,
    Usage,
    WeighAnswer,
    WeighRequest,
)
from ledger.clock import ManualClock
from ledger.errors import BudgetExhausted, ProviderBadOutput, ProviderUnavailable
from ledger.events.event import LedgerEvent
from ledger.store import Ledger
from ledger.vocabulary import Draft, Entry, EntryKind, Phase

OP = "op-1"
SECRET = "ghp_" + "a1B2c3D4e5" * 4
LIMITS = Limits(max_tokens=50)
HOLE = InfillRequest(spans=(InfillSpan(prefix="return ", suffix="\n"),))


class Speaker:
    """A provider that says a few words; ``kind`` says how it goes on."""

    name, model = "speaker", "m@1"
    capabilities = Capabilities(infill=True)

    def __init__(self, kind: str = "whole", price: Price | None = None) -> None:
        self.kind = kind
        self.price = price or Price(input=1_000_000, output=1_000_000)
        self.heard: list[str] = []
        self.speaking = asyncio.Event()
        self.ended = 0

    async def health(self) -> Health:
        return Health(ready=True, detail="")

    def count_tokens(self, text: str) -> int:
        return len(text)

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        self.heard += [m.text for m in conversation]
        try:
            yield TextDelta(text="some words ")
            await self._go_on()
            yield TextDelta(text="and an end")
            if self.kind != "endless":
                yield Done(finish="stop", usage=Usage(tokens_in=7, tokens_out=3))
        finally:
            self.ended += 1

    async def infill(self, request: InfillRequest) -> InfillAnswer:
        await self._go_on()
        return InfillAnswer(infills=(Infill(span=0, text="x"),), usage=Usage(tokens_in=5, tokens_out=1))

    async def _go_on(self) -> None:
        self.speaking.set()
        if self.kind == "slow":
            await asyncio.Event().wait()
        if self.kind == "gone":
            raise ProviderUnavailable("It went away.", provider=self.name)
        if self.kind == "broken":
            raise RuntimeError("a fault of the provider's")

    async def aclose(self) -> None:
        return None


class Unpriced(Speaker):
    """Nobody knows what it costs."""

    def __init__(self) -> None:
        super().__init__()
        self.price = None  # type: ignore[assignment]  # an unknown price is what is tested


async def asking(
    ledger: Ledger, clock: ManualClock, provider: Speaker, *, turn_s: float = 30.0, **ceilings: object
) -> tuple[ModelClient, Budget, Recorder]:
    budget = Budget(ledger=ledger, clock=clock, settings=BudgetSettings().model_copy(update=ceilings))
    await budget.prepare()
    record = Recorder(ledger, op_id=OP)
    client = ModelClient(
        provider=provider, budget=budget, record=record, clock=clock, op_id=OP, route="STANDARD", turn_s=turn_s
    )
    return client, budget, record


async def ask(client: ModelClient, text: str = "a question of thirty-six letters!!!!") -> str:
    return (await client.turn(Phase.GENERATE, "test", [Message(role="user", text=text)], limits=LIMITS)).text


async def calls(ledger: Ledger) -> list[Entry]:
    return await ledger.entries(kinds=(EntryKind.CALL,))


async def test_a_call_is_announced_made_and_settled(ledger: Ledger, clock: ManualClock) -> None:
    client, budget, record = await asking(ledger, clock, Speaker())
    assert await ask(client) == "some words and an end"
    started, ended = await calls(ledger)
    assert (started.payload["event"], started.phase, started.spend.calls) == ("call.started", Phase.GENERATE, 0)
    assert started.payload["tokens_in"] == 10
    assert started.payload["max_tokens"] == 50
    assert (ended.payload["event"], ended.payload["problem"]) == ("call.ended", "")
    assert (ended.spend.calls, ended.spend.usd_micro, ended.spend.tokens_in) == (1, 10, 7)
    assert await ledger.get_blob(ended.payload["answer"]) == b"some words and an end"
    assert record.spend == ended.spend
    assert (await budget.spent_by(OP)).usd_micro == 10


@pytest.mark.parametrize("ceilings", [{"per_call_usd_micro": 59}, {"per_op_tokens": 59}, {"per_day_usd_micro": 59}])
async def test_a_call_that_may_pass_a_ceiling_is_not_made(
    ledger: Ledger, clock: ManualClock, ceilings: dict[str, int]
) -> None:
    speaker = Speaker()
    client, _, _ = await asking(ledger, clock, speaker, **ceilings)
    with pytest.raises(BudgetExhausted):
        await ask(client)
    with pytest.raises(BudgetExhausted):
        await client.infill(Phase.GENERATE, "test", HOLE.model_copy(update={"samples": 2, "temperature": 1.0}))
    assert speaker.heard == []
    assert not speaker.speaking.is_set()
    assert await calls(ledger) == []


async def test_an_unknown_price_is_denied_before_the_call(ledger: Ledger, clock: ManualClock) -> None:
    speaker = Unpriced()
    client, _, _ = await asking(ledger, clock, speaker)
    with pytest.raises(BudgetExhausted) as error:
        await ask(client)
    assert error.value.ceiling == "gate07.unknown_price"
    assert speaker.heard == []


@pytest.mark.parametrize(
    ("kind", "error", "problem"),
    [
        ("gone", ProviderUnavailable, "It went away."),
        ("broken", RuntimeError, "failed"),
        ("endless", ProviderBadOutput, "The answer ended without its end mark."),
        ("slow", ProviderUnavailable, "total"),
    ],
)
async def test_a_call_that_fails_is_settled_by_estimate(
    ledger: Ledger, clock: ManualClock, kind: str, error: type[Exception], problem: str
) -> None:
    client, budget, _ = await asking(ledger, clock, Speaker(kind), turn_s=0.05)
    with pytest.raises(error):
        await ask(client)
    _, ended = await calls(ledger)
    assert ended.payload["problem"] == problem
    assert ended.payload["tokens_in"] == 10
    assert ended.payload["tokens_out"] > 0
    assert (await budget.spent_by(OP)).usd_micro == ended.payload["usd_micro"] > 0


@pytest.mark.parametrize("infilling", [False, True])
async def test_a_cancelled_call_is_settled_and_the_provider_stops(
    ledger: Ledger, clock: ManualClock, infilling: bool
) -> None:
    speaker = Speaker("slow")
    client, budget, _ = await asking(ledger, clock, speaker)
    work = client.infill(Phase.GENERATE, "test", HOLE) if infilling else ask(client)
    task = asyncio.ensure_future(work)
    await speaker.speaking.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    _, ended = await calls(ledger)
    assert ended.payload["problem"] == "cancelled"
    assert ended.payload["tokens_in"] > 0
    assert (await budget.spent_by(OP)).calls == 1
    assert infilling or speaker.ended == 1


async def test_a_second_cancellation_does_not_lose_the_settlement(ledger: Ledger, clock: ManualClock) -> None:
    speaker = Speaker("slow")
    client, budget, _ = await asking(ledger, clock, speaker)
    task = asyncio.ensure_future(ask(client))
    await speaker.speaking.wait()
    for _ in range(4):  # the owner, the op's clock, the daemon's end: each may cancel while it is being settled
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await budget.spent_by(OP)).calls == 1
    assert [e.payload["event"] for e in await calls(ledger)] == ["call.started", "call.ended"]


async def test_settlements_survive_a_restart(ledger: Ledger, clock: ManualClock, tmp_path: Path) -> None:
    client, _, _ = await asking(ledger, clock, Speaker())
    await ask(client)
    await ledger.close()
    again = await Ledger.open(tmp_path / "ledger.sqlite3", repo_id="0123456789ab", clock=clock)
    try:
        client, budget, _ = await asking(again, clock, Speaker(), per_op_usd_micro=69)
        assert (await budget.spent_by(OP)).usd_micro == 10
        with pytest.raises(BudgetExhausted):
            await ask(client)
    finally:
        await again.close()


class Deaf(Recorder):
    """Its ledger takes nothing."""

    async def note(self, event: LedgerEvent, **more: object) -> Entry:
        await self.ledger.append(Draft(kind=event.KIND, payload={"number": 1.5}))
        raise AssertionError("a float was stored")


async def test_a_call_that_cannot_be_announced_is_not_made_and_holds_nothing(
    ledger: Ledger, clock: ManualClock
) -> None:
    speaker = Speaker()
    client, budget, _ = await asking(ledger, clock, speaker, per_op_usd_micro=60)
    deaf = ModelClient(
        provider=speaker,
        budget=budget,
        record=Deaf(ledger, op_id=OP),
        clock=clock,
        op_id=OP,
        route="STANDARD",
        turn_s=9,
    )
    with pytest.raises(Exception, match="A float stands"):
        await ask(deaf)
    assert speaker.heard == []
    await ask(client)  # sixty are free again


async def test_secrets_reach_neither_the_model_nor_the_record(ledger: Ledger, clock: ManualClock) -> None:
    speaker = Speaker()
    client, _, _ = await asking(ledger, clock, speaker)
    await ask(client, f"token = '{SECRET}'")
    assert speaker.heard
    assert SECRET not in speaker.heard[0]


class Knowing(Speaker):
    """Gives other texts, and weighs given ones; keeps what it is sent."""

    def hear(self, request: DivergeRequest | WeighRequest) -> None:
        self.heard += [*(span.prefix + span.suffix for span in request.spans), *request.texts]

    async def diverge(self, request: DivergeRequest) -> InfillAnswer:
        self.hear(request)
        return InfillAnswer(infills=(), usage=Usage())

    async def weigh(self, request: WeighRequest) -> WeighAnswer:
        self.hear(request)
        return WeighAnswer(logprobs_milli=(-1,), usage=Usage())


async def test_no_kind_of_question_about_a_hole_shows_a_secret(ledger: Ledger, clock: ManualClock) -> None:
    model = Knowing()
    client, _, _ = await asking(ledger, clock, model)
    spans, texts = (InfillSpan(prefix=f"key = '{SECRET}'\nreturn ", suffix=f"# {SECRET}"),), (f"'{SECRET}'",)
    await client.diverge(Phase.GENERATE, "test", DivergeRequest(spans=spans, texts=texts, answers=2))
    await client.weigh(Phase.GENERATE, "test", WeighRequest(spans=spans, texts=texts))
    assert len(model.heard) == 4 and not any(SECRET in text for text in model.heard)


async def test_infills_are_counted(ledger: Ledger, clock: ManualClock) -> None:
    client, budget, _ = await asking(ledger, clock, Speaker())
    assert [i.text for i in await client.infill(Phase.GENERATE, "test", HOLE)] == ["x"]
    _, ended = await calls(ledger)
    assert (ended.payload["tokens_in"], ended.payload["problem"]) == (5, "")
    assert (await budget.spent_by(OP)).usd_micro == 6
