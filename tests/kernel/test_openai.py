"""Chat completions on the wire: what is sent, and what a server's good and bad answers become."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
from datetime import timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.provider import Done, Limits, Message, TextDelta, ToolCall, Usage
from kernel.providers.openai.stream import SseParser, StreamAssembler
from kernel.providers.openai.wire import MOST_NATS, error_status, retry_after_s, token_logprobs
from ledger.errors import ProviderBadOutput, ProviderUnavailable
from tests.kernel.asking import (
    ASK,
    KEY,
    NOW,
    SHORT_S,
    STREAM,
    TOOL,
    against,
    ask,
    calls_of,
    failing,
    good,
    provider,
    text_of,
)
from tests.kernel.misbehaving import Misbehaving, Peer, call, chunk, event, usage

# --- the plain way ----------------------------------------------------------------------------------------------------


async def test_text_and_the_servers_own_count() -> None:
    events = await against(good)
    assert text_of(events) == "Hello"
    done = events[-1]
    assert isinstance(done, Done)
    assert (done.finish, done.usage) == ("stop", Usage(tokens_in=11, tokens_out=2))
    assert sum(isinstance(item, Done) for item in events) == 1


async def test_the_request_says_everything() -> None:
    conversation = (
        *ASK,
        Message(role="assistant", calls=(ToolCall(id="a1", name="read_file", arguments='{"path":"x"}'),)),
        Message(role="tool", call_id="a1", text="lone \ud800 surrogate"),
    )
    limits = Limits(max_tokens=7, temperature=0.5, top_p=0.9, seed=3, stop=("\n\n",))
    async with Misbehaving(good) as server:
        async for _ in provider(server.base_url + "/").respond(conversation, (TOOL,), limits):
            pass
        [request] = server.requests
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "You mend."},
            {"role": "user", "content": "Mend it."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "a1", "type": "function", "function": {"name": "read_file", "arguments": '{"path":"x"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "a1", "content": "lone \ud800 surrogate"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "stop": ["\n\n"],
        "tools": [{"type": "function", "function": TOOL.model_dump()}],
    }


async def test_what_is_not_set_is_not_sent() -> None:
    async with Misbehaving(good) as server:
        await ask(provider(server.base_url, key=None, model=""))
        [request] = server.requests
    assert not {"model", "seed", "stop", "tools"} & set(request.body)
    assert "authorization" not in request.headers


async def test_without_a_count_it_is_estimated_upwards() -> None:
    async def silent_about_usage(peer: Peer) -> None:
        await peer.stream(chunk("x" * 37), chunk(finish="length"), "[DONE]")

    [*_, done] = await against(silent_about_usage)
    asked = sum(len(message.text) for message in ASK)  # 17 characters: 4.7 tokens
    assert asked == 17
    assert isinstance(done, Done)
    assert (done.finish, done.usage) == ("length", Usage(tokens_in=5, tokens_out=11, estimated=True))


# --- the form of the stream -------------------------------------------------------------------------------------------


async def test_pieces_split_anywhere_with_crlf_comments_and_other_fields() -> None:
    raw = b": keep-alive\r\n\r\nevent: message\r\nid: 7\r\n" + event(chunk("grün – 🐍"), "\r\n")
    raw += b": another\r\n" + event(chunk(finish="stop"), "\r\n") + b"data:[DONE]"

    async def drip(peer: Peer) -> None:
        await peer.head(content_type=STREAM)
        for at in range(len(raw)):
            await peer.send(raw[at : at + 1])
            await asyncio.sleep(0)

    events = await against(drip)
    assert text_of(events) == "grün – 🐍"


@settings(deadline=None, max_examples=60)
@given(
    datas=st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1), max_size=5),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(min_value=0, max_value=400), max_size=12),
    bom=st.booleans(),
)
def test_the_cuts_never_matter(datas: list[str], newline: str, cuts: list[int], bom: bool) -> None:
    raw = (b"\xef\xbb\xbf" if bom else b"") + b"".join(event(data, newline) for data in datas)
    edges = [0, *sorted(cuts), len(raw)]
    parser = SseParser()
    found = [data for a, b in pairwise(edges) for data in parser.feed(raw[a:b])]
    assert [*found, *parser.close()] == datas


def test_several_data_lines_are_one_event() -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\ndata\ndata:  b\n\n") == ["a\n\n b"]
    assert parser.feed(b"data: a\r") + parser.feed(b"\ndata: b\r\n\r") + parser.feed(b"\n") == ["a\nb"]
    assert parser.close() == []


async def test_a_finish_without_done_is_enough() -> None:
    async def no_done(peer: Peer) -> None:
        await peer.stream(chunk("ok"), chunk(finish="stop"))

    assert text_of(await against(no_done)) == "ok"


async def test_an_answer_that_is_whole_survives_what_happens_after_it() -> None:
    async def falls_silent(peer: Peer) -> None:
        await peer.stream(chunk("ok", finish="stop"))
        await peer.gone()

    async def breaks(peer: Peer) -> None:
        await peer.head(transfer_encoding="chunked")
        piece = event(chunk("ok", finish="stop"))
        await peer.send(b"%x\r\n%s\r\n7f\r\nda" % (len(piece), piece))

    for behaviour in (falls_silent, breaks):
        [text, done] = await against(behaviour, idle_s=SHORT_S)
        assert isinstance(text, TextDelta)
        assert isinstance(done, Done)
        assert done.usage.estimated


@pytest.mark.parametrize("closing", [(), ("[DONE]",)])
async def test_a_stream_without_a_finish_is_bad_output(closing: tuple[str, ...]) -> None:
    async def stops_short(peer: Peer) -> None:
        await peer.stream(chunk("half a sen"), *closing)

    error = await failing(stops_short)
    assert isinstance(error, ProviderBadOutput)
    assert "without a finish reason" in error.message


async def test_an_answer_that_is_no_stream_names_its_type() -> None:
    async def page(peer: Peer) -> None:
        await peer.head(content_type="text/html")
        await peer.send(b"<html>hello</html>")

    error = await failing(page)
    assert isinstance(error, ProviderBadOutput)
    assert "text/html" in error.message


@pytest.mark.parametrize(
    "data",
    ['{"choices": [{"delta": {"cont', "[]", "null", '{"choices": 3}', '{"choices": [{"delta": {"content": 5}}]}'],
)
async def test_a_broken_chunk_is_bad_output(data: str) -> None:
    async def broken(peer: Peer) -> None:
        await peer.stream(chunk("ok"), data, chunk(finish="stop"))

    error = await failing(broken)
    assert isinstance(error, ProviderBadOutput)
    assert "not the expected JSON" in error.message


async def test_bytes_that_are_not_utf8_are_bad_output() -> None:
    async def latin(peer: Peer) -> None:
        await peer.head(content_type=STREAM)
        await peer.send("data: grün\n\n".encode("latin-1"))

    assert "UTF-8" in (await failing(latin)).message


@pytest.mark.parametrize("status", [200, 500])
async def test_a_compressed_answer_is_refused_before_it_is_expanded(status: int) -> None:
    packed = gzip.compress(gzip.compress(bytes(64 << 20)))  # as errors too: their text is read

    async def zipped(peer: Peer) -> None:
        await peer.head(status, content_type=STREAM, content_encoding="gzip, gzip")
        await peer.send(packed)

    tracemalloc.start()
    try:
        error = await failing(zipped)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert "compressed" in error.message if status == 200 else isinstance(error, ProviderUnavailable)


@pytest.mark.parametrize("count", [2**31, 2**63, 10**30])
async def test_a_count_of_tokens_that_no_call_has_is_bad_output(count: int) -> None:
    async def boasts(peer: Peer) -> None:
        await peer.stream(chunk("ok"), chunk(finish="stop"), usage(1, count), "[DONE]")

    assert isinstance(await failing(boasts), ProviderBadOutput)


async def test_a_count_of_nothing_is_no_count() -> None:
    """A server that counts zero would otherwise be asked without end below every ceiling."""

    async def counts_nothing(peer: Peer) -> None:
        await peer.stream(chunk("x" * 4_000), chunk(finish="stop"), usage(0, 0))

    done = (await against(counts_nothing))[-1]
    assert isinstance(done, Done)
    assert done.usage.estimated
    assert done.usage.tokens_out > 500


def test_arguments_in_very_many_pieces_are_joined_once() -> None:
    """One event may have a quarter million; joined one by one they held the event loop for half a minute."""
    pieces = ',{"function":{"arguments":"' + "x" * 60 + '"}}'
    calls = '[{"function":{"name":"read_file"}}' + pieces * 100_000 + "]"
    answer = StreamAssembler(where="here", clean=str)
    began = time.process_time()
    answer.add('{"choices":[{"index":0,"finish_reason":"tool_calls","delta":{"tool_calls":' + calls + "}}]}")
    [made] = answer.calls()
    assert time.process_time() - began < 4
    assert len(made.arguments) == 6_000_000


def test_an_endless_name_of_a_tool_is_refused() -> None:
    pieces = ",".join('{"function":{"name":"' + letter * 60 + '"}}' for letter in "ab" * 20)
    answer = StreamAssembler(where="here", clean=str)
    with pytest.raises(ProviderBadOutput, match="endless name"):
        answer.add('{"choices":[{"index":0,"delta":{"tool_calls":[' + pieces + "]}}]}")


def test_a_logprob_beyond_all_floats_is_a_number_all_the_same() -> None:
    told = {"content": [{"logprob": -(10**400)}, {"logprob": 10**400}, {"logprob": float("-inf")}]}
    assert token_logprobs(told) == [-MOST_NATS, 0.0, -MOST_NATS]


async def test_an_endless_answer_is_refused() -> None:
    async def floods(peer: Peer) -> None:
        await peer.head(content_type=STREAM)
        while True:
            await peer.send(b": " + b"x" * 4096 + b"\n")

    error = await failing(floods, max_answer_bytes=65536)
    assert isinstance(error, ProviderBadOutput)
    assert "65536" in error.message


@pytest.mark.parametrize("reason", ["content_filter", "abort"])
async def test_an_unknown_finish_is_bad_output(reason: str) -> None:
    async def ends_oddly(peer: Peer) -> None:
        await peer.stream(chunk("x", finish=reason), "[DONE]")

    assert reason in (await failing(ends_oddly)).message


# --- tool calls -------------------------------------------------------------------------------------------------------


async def test_interleaved_pieces_become_whole_calls() -> None:
    async def interleaves(peer: Peer) -> None:
        await peer.stream(
            chunk("Let me look."),
            chunk(calls=[call(0, id="a", name="read_file")]),
            chunk(calls=[call(1, id="b", name="grep", arguments='{"q"')]),
            chunk(calls=[call(0, arguments='{"path":'), call(1, arguments=': "ü"}')]),
            chunk(calls=[call(0, name="read_file", arguments=' "x"}')]),
            chunk(finish="tool_calls"),
            "[DONE]",
        )

    events = await against(interleaves)
    assert calls_of(events) == [
        ToolCall(id="a", name="read_file", arguments='{"path": "x"}'),
        ToolCall(id="b", name="grep", arguments='{"q": "ü"}'),
    ]
    assert isinstance(events[-1], Done)
    assert events[-1].finish == "calls"


async def test_servers_that_count_calls_badly() -> None:
    async def all_zero(peer: Peer) -> None:
        first, second = call(0, id="a", name="f", arguments="{}"), call(0, id="b", name="g")
        await peer.stream(chunk(calls=[first]), chunk(calls=[second]), chunk(finish="stop"))

    async def no_index_no_id(peer: Peer) -> None:
        await peer.stream(chunk(calls=[call(None, name="f", arguments="{")]), chunk(calls=[call(None, arguments="}")]))
        await peer.send(event(chunk(finish="stop")))

    events = await against(all_zero)
    assert [(made.id, made.name, made.arguments) for made in calls_of(events)] == [("a", "f", "{}"), ("b", "g", "{}")]
    assert isinstance(events[-1], Done)
    assert events[-1].finish == "calls"
    assert calls_of(await against(no_index_no_id)) == [ToolCall(id="call_0", name="f", arguments="{}")]


async def test_calls_that_are_none_are_bad_output() -> None:
    async def nameless(peer: Peer) -> None:
        await peer.stream(chunk(calls=[call(0, id="a", arguments="{}")]), chunk(finish="tool_calls"))

    async def promised(peer: Peer) -> None:
        await peer.stream(chunk("x"), chunk(finish="tool_calls"))

    assert "no name" in (await failing(nameless)).message
    assert "has none" in (await failing(promised)).message


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0.0),
        ("soon", None),
        ("-3", None),
        ("nan", None),
        (None, None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds


async def test_a_limited_rate_carries_its_delay() -> None:
    async def limits(peer: Peer) -> None:
        await peer.head(429, retry_after="12")
        await peer.send(b'{"error": {"message": "slow down"}}')

    error = await failing(limits)
    assert isinstance(error, ProviderUnavailable)
    assert (error.kind, error.retry_after_s) == ("rate_limited", 12.0)
    assert "slow down" in error.message


@pytest.mark.parametrize("status", [500, 502, 503, 529])
async def test_a_server_in_trouble_is_unavailable(status: int) -> None:
    async def trouble(peer: Peer) -> None:
        await peer.head(status)
        await peer.gone()  # it never says why

    error = await failing(trouble, first_byte_s=1, idle_s=SHORT_S, total_s=0.5)
    assert isinstance(error, ProviderUnavailable)
    assert error.kind == "server"
    assert str(status) in error.message


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, b'{"error": {"message": "context too long"}}', "context too long"),
        (401, b'{"error": "who are you"}', "OPENAI_API_KEY"),
        (404, b'{"detail": "no such model"}', "no such model"),
        (418, b"\x1b[31mteapot\xff", "[31mteapot"),
        (422, b"[1]", "[1]"),
        (301, b"", "base_url"),
        (204, b"", "204"),
    ],
)
async def test_other_refusals_are_bad_output_with_the_servers_words(status: int, body: bytes, words: str) -> None:
    async def refuses(peer: Peer) -> None:
        await peer.head(status, location="http://127.0.0.1:1/")
        await peer.send(body)

    error = await failing(refuses)
    assert isinstance(error, ProviderBadOutput)
    assert words in str(error)
    assert "\x1b" not in str(error)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"code": 503, "message": "x"}, 503),
        ({"code": "rate_limit_exceeded"}, 429),
        ({"type": "server_error"}, 500),
        ({"type": "overloaded_error"}, 500),
        ({"code": "context_length_exceeded"}, 400),
        ({"code": None}, 400),
        ("words", 400),
    ],
)
def test_what_an_error_object_stands_for(body: object, status: int) -> None:
    assert error_status(body) == status


async def test_an_error_inside_the_stream_is_that_error() -> None:
    async def dies(peer: Peer) -> None:
        await peer.stream(chunk("so f"), {"error": {"code": 500, "message": "out of memory"}})

    async def objects(peer: Peer) -> None:
        await peer.stream(chunk("so f"), {"error": {"type": "invalid_request_error", "message": "too long"}})

    died = await failing(dies)
    assert isinstance(died, ProviderUnavailable)
    assert died.kind == "server"
    assert "out of memory" in died.message
    assert isinstance(await failing(objects), ProviderBadOutput)
