"""The canary on answers of a server, and a server that is asked several times: over real sockets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.canary import CollapseDetected
from kernel.canary.text import TAIL_CHARS, read_answer
from kernel.catalogue import build_provider
from kernel.provider import Capabilities, Done, Event, Limits, Message, Report, Spent, Usage
from kernel.providers.openai.wire import token_logprobs
from kernel.providers.reprompt import questions
from kernel.settings import KernelSettings
from tests.kernel.asking import ASK, against, ask, calls_of, good, provider, text_of
from tests.kernel.misbehaving import Behaviour, Misbehaving, Peer, call, chunk, usage

LOOPING = "        self.items.append(item)\n" * 40
CODING = (Message(role="user", text="Fix the bug in cart.py."),)
ROOM = Limits(max_tokens=1_000)


def says(*texts: str, finish: str = "stop", count: tuple[int, int] | None = (11, 200)) -> Behaviour:
    """Streams the texts, one a chunk."""

    async def behave(peer: Peer) -> None:
        counted = [usage(*count)] if count else []
        await peer.stream(*(chunk(text) for text in texts), chunk(finish=finish), *counted, "[DONE]")

    return behave


def likely(text: str, *logprobs: object) -> dict[str, object]:
    """A chunk whose tokens have these log-probabilities."""
    made: dict[str, object] = chunk(text)
    made["choices"][0]["logprobs"] = {"content": [{"token": "?", "logprob": n} for n in logprobs]}  # type: ignore[index]
    return made


def report_of(events: list[Event]) -> Report:
    done = events[-1]
    assert isinstance(done, Done) and done.report is not None
    return done.report


# --- what the report says ---------------------------------------------------------------------------------------------


async def test_a_calm_answer_is_reported_as_such() -> None:
    report = report_of(await against(good))
    assert (report.exit, report.depth_milli, report.signal) == ("single_pass", 1000, "none")
    assert report.proximity_milli < 100


@pytest.mark.parametrize("canary", ["observe", "off"])
async def test_a_collapse_is_only_observed(canary: str) -> None:
    events = await against(says(LOOPING[:500], LOOPING[500:]), canary=canary)
    assert text_of(events) == LOOPING and not any(isinstance(event, Spent) for event in events)
    report = report_of(events)
    assert report.alarm is (canary == "observe")
    assert report.exit == "single_pass"
    assert (report.proximity_milli > 880, report.signal != "none") == ((canary == "observe"),) * 2


async def test_a_collapse_is_refused_where_the_owner_says_so() -> None:
    seen: list[Event] = []
    async with Misbehaving(says(LOOPING)) as server:
        with pytest.raises(CollapseDetected) as caught:
            async for event in provider(server.base_url, canary="stop").respond(ASK, (), Limits()):
                seen.append(event)
    assert (caught.value.provider, caught.value.tokens) == ("openai", 200)
    assert caught.value.proximity > 0.88
    assert text_of(seen) == LOOPING, "it is stopped after the text has ended"
    assert seen[-1] == Spent(usage=Usage(tokens_in=11, tokens_out=200)), "what it took is known"
    calm = await against(good, canary="stop")
    assert text_of(calm) == "Hello"


async def test_a_long_quotation_of_the_prompt_is_no_collapse() -> None:
    code = Path(__file__).read_text(encoding="utf-8")[:6_000]
    async with Misbehaving(says(code)) as server:
        asked = (Message(role="user", text=f"Fix the bug.\n{code}"),)
        events = [e async for e in provider(server.base_url, canary="stop").respond(asked, (), Limits())]
    assert text_of(events) == code


async def test_tool_calls_alone_are_calm() -> None:
    async def calls(peer: Peer) -> None:
        await peer.stream(chunk(calls=[call(0, id="a", name="ls")]), chunk(finish="tool_calls"), "[DONE]")

    events = await against(calls, canary="stop")
    assert len(calls_of(events)) == 1 and report_of(events).proximity_milli == 0


@pytest.mark.parametrize("broken", [False, True])
async def test_what_a_call_writes_is_read_too(broken: bool) -> None:
    given = json.dumps({"path": "shop/cart.py", "content": LOOPING})
    pieces = given[:-20] if broken else given

    async def calls(peer: Peer) -> None:
        made = chunk(calls=[call(0, id="a", name="write_file", arguments=pieces)])
        await peer.stream(made, chunk(finish="tool_calls"), "[DONE]")

    report = report_of(await against(calls))
    assert report.alarm and report.proximity_milli > 880
    with pytest.raises(CollapseDetected):
        await against(calls, canary="stop")


async def test_many_calls_alike_are_calm() -> None:
    async def calls(peer: Peer) -> None:
        made = [call(n, id=f"c{n}", name="read_file", arguments=json.dumps({"path": "a/b.py"})) for n in range(30)]
        await peer.stream(chunk(calls=made), chunk(finish="tool_calls"), "[DONE]")

    assert not report_of(await against(calls)).alarm


async def test_only_the_end_of_a_very_long_answer_is_read() -> None:
    calm = " ".join(f"name{n} = value{n * 7}" for n in range(8_000))
    assert len(calm) > TAIL_CHARS
    assert not (await read_answer(LOOPING + calm)).alarm
    assert (await read_answer(calm + LOOPING)).alarm
    garbage = [-0.2] * 1_000 + [-9.0] * 1_000
    assert (await read_answer(calm, garbage)).signal == "surprise"
    assert not (await read_answer(calm, [-9.0] * 200 + [-0.2] * 1_800)).alarm


# --- log-probabilities ------------------------------------------------------------------------------------------------


async def test_log_probabilities_are_asked_for_only_where_there_are_some() -> None:
    async with Misbehaving(good) as server:
        asked = provider(server.base_url)
        assert asked.capabilities == Capabilities(tools=True)
        await ask(asked)
        asked = provider(server.base_url, logprobs=True)
        assert asked.capabilities == Capabilities(tools=True, logprobs=True)
        await ask(asked)
        without, with_them = server.requests
    assert "logprobs" not in without.body and with_them.body["logprobs"] is True


async def test_garbage_is_seen_by_its_log_probabilities() -> None:
    text = " ".join(f"word{n}" for n in range(120))

    def told(chance: float) -> Behaviour:
        async def behave(peer: Peer) -> None:
            pieces = [likely(f"{word} ", chance) for word in text.split()]
            await peer.stream(*pieces, chunk(finish="stop"), "[DONE]")

        return behave

    assert report_of(await against(told(-9.0), logprobs=True)).signal == "surprise"
    assert report_of(await against(told(-0.2), logprobs=True)).proximity_milli < 500
    with pytest.raises(CollapseDetected, match="surprise"):
        await against(told(-9.0), logprobs=True, canary="stop")


@pytest.mark.parametrize(
    "extra", [{"content": "x"}, {"content": [{"logprob": "x"}, 3, None]}, [], "x", 3, {"tokens": ["a"]}]
)
async def test_strange_extras_do_not_spoil_an_answer(extra: object) -> None:
    async def behave(peer: Peer) -> None:
        piece = chunk("ok")
        piece["choices"][0]["logprobs"] = extra
        await peer.stream(piece, chunk(finish="stop"), "[DONE]")

    assert text_of(await against(behave, logprobs=True)) == "ok"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["content", "logprob", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(JSON)
def test_chances_of_anything_are_log_probabilities(said: object) -> None:
    assert all(isinstance(n, float) and n <= 0.0 for n in token_logprobs(said))
    assert token_logprobs({"content": [{"logprob": -1}, {"logprob": float("nan")}, {"logprob": 2.0}]}) == [-1.0, 0.0]


# --- asked several times ----------------------------------------------------------------------------------------------


async def asked_again(
    server: Misbehaving,
    conversation: tuple[Message, ...] = CODING,
    *,
    seen: list[Event] | None = None,
    **fields: object,
) -> list[Event]:
    table = {"base_url": server.base_url, "model": "m", "reprompt": "auto", **fields}
    settings = KernelSettings.model_validate({"openai": table})
    made = build_provider("openai", settings, models_dir=Path(), api_key=lambda _: None, allow_network=False)
    events = [] if seen is None else seen
    async for event in made.respond(conversation, (), ROOM):
        events.append(event)
    return events


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """The next one at each connection."""
    left = list(behaviours)

    async def behave(peer: Peer) -> None:
        await left.pop(0)(peer)

    return behave


async def test_a_server_is_asked_until_it_is_sure() -> None:
    first, second = says("One.\nconfidence: 0.2", count=(20, 5)), says("Two.\n", "confidence: 0.95", count=(40, 6))
    async with Misbehaving(in_turn(first, second)) as server:
        events = await asked_again(server)
        sent = [request.body["messages"] for request in server.requests]
    assert text_of(events) == "Two."
    done = events[-1]
    assert isinstance(done, Done) and done.usage == Usage(tokens_in=60, tokens_out=11)
    assert (report_of(events).exit, report_of(events).depth_milli) == ("threshold_met", 2000)
    assert sent[1][: len(sent[0])] == sent[0] and questions.FORM in json.dumps(sent[0], ensure_ascii=False)
    assert sent[1][-2:] == [{"role": "assistant", "content": "One."}, {"role": "user", "content": questions.CHECK}]


async def test_the_owner_says_how_often() -> None:
    different = [says(f"Answer{n} text{n} other{n}.") for n in range(9)]
    async with Misbehaving(in_turn(*different)) as server:
        events = await asked_again(server, reprompt_passes=2)
        assert (server.connections, report_of(events).exit) == (2, "max_loops")
        events = await asked_again(server, reprompt_passes=1)
        assert (server.connections, report_of(events).exit) == (3, "single_pass")
        events = await asked_again(server, reprompt="off")
        assert (server.connections, report_of(events).exit) == (4, "single_pass")
        events = await asked_again(server, (Message(role="user", text="Hello!"),))
        assert (server.connections, report_of(events).exit) == (5, "single_pass")


async def broken(peer: Peer) -> None:
    await peer.head(500, content_type="application/json")


@pytest.mark.parametrize("canary", ["off", "observe", "stop"])
async def test_a_server_that_breaks_or_collapses_later_has_answered(canary: str) -> None:
    for later in (broken, says(LOOPING)):
        async with Misbehaving(in_turn(says("One.\nconfidence: 0.1"), later, says("Three.\nconfidence: 1"))) as server:
            events = await asked_again(server, canary=canary)
        collapse_counts = later is not broken and canary == "off"
        assert text_of(events) == ("Three." if collapse_counts else "One.")
        assert report_of(events).exit == ("threshold_met" if collapse_counts else "cut_short")


@pytest.mark.parametrize("canary", ["observe", "stop"])
async def test_a_first_collapse_is_raised_and_what_it_took_is_known(canary: str) -> None:
    seen: list[Event] = []
    async with Misbehaving(says(LOOPING)) as server:
        with pytest.raises(CollapseDetected):
            await asked_again(server, canary=canary, seen=seen)
    assert seen[-1] == Spent(usage=Usage(tokens_in=11, tokens_out=200)) and text_of(seen) == ""


def test_passes_have_bounds() -> None:
    for passes in (0, 9):
        with pytest.raises(ValueError, match="reprompt_passes"):
            KernelSettings.model_validate({"openai": {"reprompt_passes": passes}})
