"""The re-prompt loop: asked again until the answer is sure or steady, never worse off than with one pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from kernel.canary import CollapseDetected
from kernel.provider import (
    CallDelta,
    Capabilities,
    Done,
    Event,
    Health,
    Limits,
    Message,
    Price,
    Repeater,
    Report,
    Spent,
    TextDelta,
    ToolCall,
    ToolSchema,
    Usage,
)
from kernel.providers.reprompt import RepromptProvider, questions
from ledger.clock import ManualClock
from ledger.errors import ProviderBadOutput, ProviderError, ProviderUnavailable

ASK = (Message(role="system", text="You mend."), Message(role="user", text="Fix the bug in cart.py."))
HELLO = (Message(role="user", text="Hello!"),)
ROOM = Limits(max_tokens=1_000, timeout_s=100.0)
TOOL = ToolSchema(name="read_file", description="Reads.", parameters={})
LOOPING = "        self.items.append(item)\n" * 40
CALL = CallDelta(call=ToolCall(id="1", name="read_file", arguments="{}"))
PRICE, TALKS = Price(input=3, output=4), Capabilities(tools=True)
TEN = Usage(tokens_in=100, tokens_out=10)


@dataclass(frozen=True)
class Step:
    """How one call goes. ``took`` seconds pass before its end; ``error`` comes after the text."""

    text: str = ""
    finish: str = "stop"
    took: float = 10.0
    usage: Usage = TEN
    error: ProviderError | None = None
    calls: tuple[CallDelta, ...] = ()
    report: Report | None = None
    endless: bool = False
    waits: bool = False


@dataclass
class Model:
    """A provider that goes through its steps on a clock of its own; asked more often it fails the test."""

    steps: list[Step]
    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime(2031, 5, 4, tzinfo=UTC)))
    asked: list[tuple[Message, ...]] = field(default_factory=list)
    limits: list[Limits] = field(default_factory=list)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: int = 0
    closed: bool = False
    name: str = "server"
    model: str = "m@1"
    price: Price | None = PRICE
    capabilities: Capabilities = TALKS

    async def health(self) -> Health:
        return Health(ready=True, detail="It answers.")

    async def aclose(self) -> None:
        self.closed = True

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        step = self.steps[len(self.asked)]
        self.asked.append(tuple(conversation))
        self.limits.append(limits)
        try:
            half = len(step.text) // 2
            for piece in (step.text[:half], step.text[half:]):
                if piece:
                    yield TextDelta(text=piece)
            if step.waits:
                self.waiting.set()
                await asyncio.Event().wait()
            self.clock.advance(step.took)
            if step.error is not None:
                raise step.error
            for call in step.calls:
                yield call
            if not step.endless:
                finish = "calls" if step.calls else step.finish
                yield Done.model_validate({"finish": finish, "usage": step.usage, "report": step.report})
        finally:
            self.stopped += 1


async def turn(
    model: Model, limits: Limits = ROOM, *, asked: Sequence[Message] = ASK, passes: int = 4, watch: bool = True
) -> list[Event]:
    provider = RepromptProvider(model, passes=passes, watch=watch, clock=model.clock)
    return [event async for event in provider.respond(asked, (), limits)]


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def done_of(events: Sequence[Event]) -> Done:
    assert [event.kind for event in events].count("done") == 1
    assert isinstance(events[-1], Done)
    return events[-1]


def report_of(events: Sequence[Event]) -> Report:
    report = done_of(events).report
    assert report is not None
    return report


def gone(kind: str = "server") -> ProviderUnavailable:
    return ProviderUnavailable("It went away.", provider="server", kind=kind)


# --- the three ends ---------------------------------------------------------------------------------------------------


async def test_sure_at_once_is_one_pass() -> None:
    model = Model([Step("It is the sign.\nconfidence: 0.9")])
    events = await turn(model)
    assert text_of(events) == "It is the sign."
    assert (report_of(events).exit, report_of(events).depth_milli) == ("threshold_met", 1000)
    assert done_of(events).usage == Usage(tokens_in=100, tokens_out=10)
    assert model.asked == [questions.first_question(ASK)]


async def test_each_pass_is_fed_the_last_answer() -> None:
    model = Model([Step("One.\nconfidence: 0.2"), Step("Two.\nconfidence: 0.4"), Step("Three.\nconfidence: 0.86")])
    events = await turn(model)
    assert text_of(events) == "Three."
    report = report_of(events)
    assert (report.exit, report.depth_milli, report.contraction_milli) == ("threshold_met", 3000, 1000)
    assert model.asked == [
        questions.first_question(ASK),
        questions.check_question(ASK, "One."),
        questions.check_question(ASK, "Two."),
    ]
    assert done_of(events).usage == Usage(tokens_in=300, tokens_out=30)


async def test_an_answer_that_no_longer_changes_is_the_last() -> None:
    model = Model([Step("It is the sign."), Step("It is the sign.\nconfidence: 0.5")])
    events = await turn(model)
    assert text_of(events) == "It is the sign."
    assert (report_of(events).exit, report_of(events).depth_milli) == ("converged", 2000)


@pytest.mark.parametrize("passes", [2, 4])
async def test_there_is_a_last_pass(passes: int) -> None:
    steps = [Step(f"Answer number{n} is different{n} each{n} time{n}.") for n in range(8)]
    model = Model(steps)
    events = await turn(model, passes=passes)
    assert text_of(events) == steps[passes - 1].text
    assert (report_of(events).exit, report_of(events).depth_milli) == ("max_loops", 1000 * passes)
    assert len(model.asked) == passes


async def test_structure_counts_where_nothing_is_stated() -> None:
    code = "```python\nx = 1\n```"
    model = Model([Step("```python\nx = (\n```"), Step(code)])
    events = await turn(model)
    assert (text_of(events), report_of(events).exit) == (code, "threshold_met")


# --- once only --------------------------------------------------------------------------------------------------------


async def test_what_is_not_worth_it_streams_as_it_comes() -> None:
    step = Step("Hello, you.", report=Report(exit="depth", proximity_milli=40, signal="echo"))
    model = Model([step, step])
    events = await turn(model, asked=HELLO)
    assert [event.kind for event in events] == ["text", "text", "done"]
    assert model.asked == [HELLO] and model.limits == [ROOM]
    assert report_of(events) == Report(exit="single_pass", proximity_milli=40, signal="echo")
    assert model.stopped == 1


async def test_a_turn_with_tools_is_handed_on() -> None:
    model = Model([Step(calls=(CALL,))])
    provider = RepromptProvider(model, passes=4, clock=model.clock)
    events = [event async for event in provider.respond(ASK, (TOOL,), ROOM)]
    assert CALL in events and report_of(events).exit == "single_pass"


@pytest.mark.parametrize("step", [Step(calls=(CALL,)), Step(" \n"), Step("confidence: 0.1")])
async def test_a_first_answer_with_nothing_to_check_is_the_only_one(step: Step) -> None:
    model = Model([step])
    events = await turn(model)
    assert (report_of(events).exit, report_of(events).depth_milli) == ("single_pass", 1000)
    assert text_of(events).strip() == ""
    assert done_of(events).finish == ("calls" if step.calls else "stop")
    assert [event for event in events if isinstance(event, CallDelta)] == list(step.calls)


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [gone("rate_limited"), ProviderBadOutput("Nonsense.", provider="server")])
async def test_the_first_error_is_raised_as_it_is(error: ProviderError) -> None:
    model = Model([Step("Half of", error=error)])
    with pytest.raises(type(error)) as caught:
        await turn(model)
    assert caught.value is error and model.stopped == 1


@pytest.mark.parametrize(
    "bad",
    [
        Step("Half of", error=gone()),
        Step("Half of", error=CollapseDetected(0.97, "loop", 5, provider="server")),
        Step("No end", endless=True),
        Step(LOOPING),
        Step(""),
        Step("A piece", finish="length"),
        Step("Let me look.", calls=(CALL,)),
    ],
)
async def test_a_later_pass_that_fails_leaves_the_answer_before_it(bad: Step) -> None:
    model = Model([Step("One.\nconfidence: 0.1"), Step("Two.\nconfidence: 0.2"), bad])
    events = await turn(model)
    assert text_of(events) == "Two." and done_of(events).finish == "stop"
    assert (report_of(events).exit, report_of(events).depth_milli) == ("cut_short", 2000)
    assert done_of(events).usage.tokens_in > 200, "the pass that failed was paid for, too"
    assert not any(isinstance(event, CallDelta) for event in events)


async def test_a_first_answer_that_collapsed_is_none() -> None:
    model = Model([Step(LOOPING, usage=Usage(tokens_in=50, tokens_out=400))])
    provider = RepromptProvider(model, passes=4, clock=model.clock)
    seen: list[Event] = []
    with pytest.raises(CollapseDetected) as caught:
        async for event in provider.respond(ASK, (), ROOM):
            seen.append(event)
    assert caught.value.tokens == 400 and caught.value.provider == "server"
    assert seen[-1] == Spent(usage=Usage(tokens_in=50, tokens_out=400))
    assert text_of(seen) == ""


async def test_the_report_keeps_how_close_it_came() -> None:
    near = Report(exit="single_pass", proximity_milli=700, signal="surprise")
    steps = [Step("One.\nconfidence: 0.1", report=near), Step("Two.\nconfidence: 0.9")]
    report = report_of(await turn(Model(steps)))
    assert (report.proximity_milli, report.signal) == (700, "surprise")
    report = report_of(await turn(Model([Step("One.\nconfidence: 0.1"), Step(LOOPING)])))
    assert report.proximity_milli > 880 and report.signal != "none"
    stopped = CollapseDetected(0.97, "echo", 5, provider="server")
    report = report_of(await turn(Model([Step("One.\nconfidence: 0.1"), Step("Two", error=stopped)])))
    assert (report.proximity_milli, report.signal) == (970, "echo")


async def test_without_the_canary_a_collapse_is_an_answer_like_others() -> None:
    events = await turn(Model([Step(LOOPING), Step(LOOPING)]), watch=False)
    assert (text_of(events), report_of(events).exit) == (LOOPING.strip("\n"), "converged")
    assert report_of(events).proximity_milli == 0


async def test_a_piece_may_follow_a_piece() -> None:
    model = Model(
        [Step("One of", finish="length"), Step("Two parts of", finish="length"), Step("Three.")],
    )
    events = await turn(model, passes=2)
    assert (text_of(events), done_of(events).finish, report_of(events).exit) == ("Two parts of", "length", "max_loops")


# --- time and money ---------------------------------------------------------------------------------------------------


async def test_all_passes_share_one_deadline() -> None:
    model = Model([Step(f"Answer{n} number{n}.", took=20.0) for n in range(8)])
    await turn(model, Limits(max_tokens=1_000, timeout_s=90.0), passes=3)
    assert [limits.timeout_s for limits in model.limits] == [90.0, 69.0, 49.0], "a second is kept for handing over"


async def test_no_pass_begins_that_would_not_end() -> None:
    steps = [Step("One.", took=30.0), Step("Two.", took=40.0), Step("Three.", took=10.0), Step("Four.")]
    model = Model(steps)
    events = await turn(model)
    assert (text_of(events), report_of(events).exit, len(model.asked)) == ("Two.", "cut_short", 2)


async def test_what_was_taken_is_told_as_it_grows() -> None:
    model = Model([Step("One.\nconfidence: 0.1"), Step("Two is longer than one.\nconfidence: 0.1", error=gone())])
    events = await turn(model)
    spent = [event.usage for event in events if isinstance(event, Spent)]
    totals = [usage.tokens_in + usage.tokens_out for usage in spent]
    assert Usage(tokens_in=100, tokens_out=10) in spent
    assert totals[-1] > 110 and spent[-1].estimated
    assert done_of(events).usage == spent[-1]


async def test_cancelling_stops_the_model_and_tells_what_was_taken() -> None:
    model = Model([Step("One.\nconfidence: 0.1"), Step("Two", waits=True)])
    provider = RepromptProvider(model, passes=4, clock=model.clock)
    seen: list[Event] = []

    async def listen() -> None:
        async for event in provider.respond(ASK, (), ROOM):
            seen.append(event)

    task = asyncio.create_task(listen())
    await model.waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.stopped == 2
    last = seen[-1]
    assert isinstance(last, Spent) and last.usage.tokens_in > 100 and last.usage.tokens_out > 10


async def test_closing_the_iterator_stops_the_model() -> None:
    for asked in (ASK, HELLO):
        model = Model([Step("Some words.")])
        events = RepromptProvider(model, passes=4, clock=model.clock).respond(asked, (), ROOM)
        while not model.asked:
            await anext(events)
        await anext(events)
        await events.aclose()
        assert model.stopped == 1


async def test_it_is_the_provider_that_it_asks() -> None:
    model = Model([], capabilities=Capabilities(tools=True, infill=True))
    provider = RepromptProvider(model, passes=3)
    assert (provider.name, provider.model, provider.price) == (model.name, model.model, model.price)
    assert provider.capabilities == Capabilities(tools=True)
    assert await provider.health() == await model.health()
    assert isinstance(provider, Repeater)
    assert provider.at_most(ASK, (), ROOM).tokens_out == 3_000
    assert provider.at_most(HELLO, (), ROOM).tokens_out == 1_000
    await provider.aclose()
    assert model.closed
