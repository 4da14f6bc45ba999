"""The chat-completions provider against a server that does everything wrong, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.provider import CallDelta, Done, Event, Limits, Message, Price, TextDelta, ToolCall, ToolSchema, Usage
from kernel.providers.openai import OpenAIProvider, OpenAISettings
from kernel.providers.openai_wire import error_status, retry_after_s
from kernel.providers.sse import EventParser
from ledger.clock import ManualClock
from ledger.errors import ConfigError, PolicyRefused, ProviderBadOutput, ProviderError, ProviderUnavailable
from tests.kernel.misbehaving import Behaviour, Misbehaving, Peer, call, chunk, event, usage

KEY = "sk-never-to-be-seen-0123456789"
NOW = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
ASK = (Message(role="system", text="You mend."), Message(role="user", text="Mend it."))
TOOL = ToolSchema(name="read_file", description="Reads.", parameters={"type": "object", "properties": {}})
SHORT_S = 0.15
STREAM = "text/event-stream"


def provider(base_url: str, *, key: str | None = KEY, model: str = "m", **fields: float) -> OpenAIProvider:
    chosen = OpenAISettings.model_validate({"base_url": base_url, "model": model, **fields})
    return OpenAIProvider(settings=chosen, api_key=lambda _: key, allow_network=False, clock=ManualClock(NOW))


async def ask(asked: OpenAIProvider, limits: Limits | None = None, *tools: ToolSchema) -> list[Event]:
    return [item async for item in asked.respond(ASK, tools, limits or Limits())]


async def against(behaviour: Behaviour, **fields: float) -> list[Event]:
    async with Misbehaving(behaviour) as server:
        return await ask(provider(server.base_url, **fields))


async def failing(behaviour: Behaviour, **fields: float) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await against(behaviour, **fields)
    return caught.value


def text_of(events: list[Event]) -> str:
    return "".join(item.text for item in events if isinstance(item, TextDelta))


def calls_of(events: list[Event]) -> list[ToolCall]:
    return [item.call for item in events if isinstance(item, CallDelta)]


async def good(peer: Peer) -> None:
    await peer.stream(chunk("Hel"), chunk("lo"), chunk(finish="stop"), usage(11, 2), "[DONE]")


# --- the plain way ----------------------------------------------------------------------------------------------------


async def test_text_and_the_servers_own_count() -> None:
    events = await against(good)
    assert text_of(events) == "Hello"
    assert events[-1] == Done(finish="stop", usage=Usage(tokens_in=11, tokens_out=2))
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
    assert done == Done(finish="length", usage=Usage(tokens_in=5, tokens_out=11, estimated=True))


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
    parser = EventParser()
    found = [data for a, b in pairwise(edges) for data in parser.feed(raw[a:b])]
    assert [*found, *parser.close()] == datas


def test_several_data_lines_are_one_event() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\ndata\ndata:  b\n\n") == ["a\n\n b"]
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
    assert "not the JSON" in error.message


async def test_bytes_that_are_not_utf8_are_bad_output() -> None:
    async def latin(peer: Peer) -> None:
        await peer.head(content_type=STREAM)
        await peer.send("data: grün\n\n".encode("latin-1"))

    assert "UTF-8" in (await failing(latin)).message


async def test_a_false_compression_is_bad_output_and_a_true_one_is_read() -> None:
    packed = gzip.compress(event(chunk("ok", finish="stop")))

    async def zipped(peer: Peer) -> None:
        await peer.head(content_type=STREAM, content_encoding="gzip")
        await peer.send(packed)

    async def lies(peer: Peer) -> None:
        await peer.head(content_type=STREAM, content_encoding="gzip")
        await peer.send(b"data: plain\n\n")

    assert text_of(await against(zipped)) == "ok"
    assert isinstance(await failing(lies), ProviderBadOutput)


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


# --- deadlines --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port whose queue is full: the kernel drops whoever knocks."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def test_a_connection_that_never_stands() -> None:
    with full_backlog() as port, pytest.raises(ProviderUnavailable) as caught:
        await ask(provider(f"http://127.0.0.1:{port}/v1", connect_s=SHORT_S))
    assert caught.value.kind == "connection"
    assert "0.15 s" in caught.value.message


async def test_encryption_that_never_stands_is_the_connection_too() -> None:
    async with Misbehaving(good) as server:  # it waits for a request in clear text
        with pytest.raises(ProviderUnavailable) as caught:
            await ask(provider(server.base_url.replace("http:", "https:"), connect_s=SHORT_S))
    assert caught.value.kind == "connection"


async def test_nobody_listens() -> None:
    with socket.socket() as bound:  # bound and not listening: nobody else can take the port
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(ProviderUnavailable) as caught:
            await ask(provider(f"http://127.0.0.1:{bound.getsockname()[1]}/v1"))
    assert caught.value.kind == "connection"
    assert "base_url" in caught.value.remedy


async def never(peer: Peer) -> None:
    await peer.gone()


async def only_a_head(peer: Peer) -> None:
    await peer.head(content_type=STREAM)
    await peer.gone()


async def slow_head(peer: Peer) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 1000:
        await peer.send(bytes([byte]))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("behaviour", [never, only_a_head, slow_head])
async def test_the_first_byte(behaviour: Behaviour) -> None:
    error = await failing(behaviour, first_byte_s=SHORT_S)
    assert isinstance(error, ProviderUnavailable)
    assert error.kind == "first_byte"


async def test_the_first_byte_is_not_hurried_by_the_connection() -> None:
    async def thinks(peer: Peer) -> None:
        await asyncio.sleep(0.5)
        await good(peer)

    assert text_of(await against(thinks, connect_s=0.3)) == "Hello"


async def test_silence_in_the_middle() -> None:
    async def falls_silent(peer: Peer) -> None:
        await peer.stream(chunk("Hel"))
        await peer.gone()

    error = await failing(falls_silent, idle_s=SHORT_S)
    assert isinstance(error, ProviderUnavailable)
    assert error.kind == "idle"


async def keeps_alive(peer: Peer) -> None:
    await peer.head(content_type=STREAM)
    while True:
        await peer.send(b": still here\n\n")
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(("total_s", "timeout_s"), [(0.3, 60.0), (60.0, 0.3)])
async def test_the_total_by_settings_or_by_the_caller(total_s: float, timeout_s: float) -> None:
    async with Misbehaving(keeps_alive) as server:
        with pytest.raises(ProviderUnavailable) as caught:
            await ask(provider(server.base_url, total_s=total_s), Limits(timeout_s=timeout_s))
    assert caught.value.kind == "total"


async def test_the_total_also_bounds_the_first_byte() -> None:
    error = await failing(never, total_s=SHORT_S)
    assert isinstance(error, ProviderUnavailable)
    assert error.kind == "total"


async def test_a_broken_connection() -> None:
    async def breaks(peer: Peer) -> None:
        await peer.stream(chunk("Hel"))
        peer.cut()

    error = await failing(breaks)
    assert isinstance(error, ProviderUnavailable)
    assert error.kind == "connection"


# --- cancellation -----------------------------------------------------------------------------------------------------


class Fickle:
    """Streams without end until the client goes; the next one is served well."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self._first = True

    async def __call__(self, peer: Peer) -> None:
        if not self._first:
            await good(peer)
            return
        self._first = False
        await peer.stream(chunk("Hel"))
        await peer.gone()
        self.closed.set()


async def first(events: AsyncIterator[Event]) -> None:
    async for _ in events:
        return


async def test_a_cancelled_call_closes_its_socket_and_spoils_nothing() -> None:
    fickle = Fickle()
    async with Misbehaving(fickle) as server:
        asked = provider(server.base_url)
        streaming = asyncio.Event()

        async def consume() -> None:
            async with aclosing(asked.respond(ASK, (), Limits())) as events:
                async for _ in events:
                    streaming.set()

        task = asyncio.create_task(consume())
        await streaming.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(fickle.closed.wait(), 5)
        assert text_of(await ask(asked)) == "Hello"
        assert server.connections == 2


async def test_an_abandoned_iterator_closes_its_socket() -> None:
    fickle = Fickle()
    async with Misbehaving(fickle) as server:
        async with aclosing(provider(server.base_url).respond(ASK, (), Limits())) as events:
            await first(events)
        await asyncio.wait_for(fickle.closed.wait(), 5)


async def test_a_cancelled_connect_spoils_nothing() -> None:
    with full_backlog() as port:
        task = asyncio.create_task(ask(provider(f"http://127.0.0.1:{port}/v1")))
        await asyncio.sleep(SHORT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert text_of(await against(good)) == "Hello"


async def test_a_cancelled_handshake_leaves_no_socket() -> None:
    """The library alone would leak it: the descriptor check after each test is what looks here."""
    async with Misbehaving(good) as server:
        task = asyncio.create_task(ask(provider(server.base_url.replace("http:", "https:"))))
        await asyncio.wait_for(server.met.wait(), 5)
        await asyncio.sleep(SHORT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_slow_reader_is_not_interrupted_by_the_deadlines() -> None:
    """The timer stands still while the caller holds an event: only reading is timed."""
    async with Misbehaving(good) as server:
        asked = provider(server.base_url, idle_s=SHORT_S, first_byte_s=5)
        seen: list[Event] = []
        async for item in asked.respond(ASK, (), Limits()):
            await asyncio.sleep(SHORT_S * 1.5)
            seen.append(item)
    assert text_of(seen) == "Hello"


# --- the key, the seal, the price, the health -------------------------------------------------------------------------


async def test_the_key_is_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def echoes(peer: Peer) -> None:
        await peer.head(401)
        await peer.send(f'{{"error": {{"message": "bad key {KEY}"}}}}'.encode())

    async def garbage(peer: Peer) -> None:
        await peer.send(f"{KEY}\r\n\r\n".encode())

    async def in_chunk(peer: Peer) -> None:
        await peer.stream(f"{KEY} is no JSON")

    async def in_stream(peer: Peer) -> None:
        await peer.stream({"error": {"message": KEY}})

    for behaviour in (echoes, garbage, in_chunk, in_stream):
        error = await failing(behaviour)
        assert KEY not in f"{error!r} {error} {error.remedy} {error.__cause__!r}"
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("asyncio")]
    assert ours  # the libraries did log
    assert not [line for line in ours if f"Bearer {KEY}" in line]


@pytest.mark.parametrize("key", ["sk with blank", "sk-line\nX-Evil: 1", "schlüssel"])
async def test_a_key_that_fits_no_header_is_refused_unquoted(key: str) -> None:
    async with Misbehaving(good) as server:
        with pytest.raises(ProviderUnavailable) as caught:
            await ask(provider(server.base_url, key=key))
        assert not server.requests
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://api.example.com/v1", "http://10.0.0.4/v1", "http://127.0.0.1.example.com", "http://[::2]/"]
)
def test_the_seal_refuses_other_machines(url: str) -> None:
    with pytest.raises(PolicyRefused) as caught:
        provider(url)
    assert caught.value.rule == "network"
    OpenAIProvider(settings=OpenAISettings(base_url=url), api_key=lambda _: None)


@pytest.mark.parametrize("url", ["http://localhost:1/v1", "http://127.9.9.9", "http://[::1]:8080/v1"])
def test_the_seal_lets_this_machine_through(url: str) -> None:
    provider(url)


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:80", "ftp://127.0.0.1", "http://u:secret@127.0.0.1", "http://127.0.0.1:x"]
)
def test_an_impossible_address_is_refused_unquoted(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        provider(url)
    assert "secret" not in str(caught.value)


def test_half_a_price_is_no_price() -> None:
    assert provider("http://127.0.0.1", price_input_usd_micro=1).price is None
    both = provider("http://127.0.0.1", price_input_usd_micro=0, price_output_usd_micro=4)
    assert both.price == Price(input=0, output=4)
    assert (both.name, both.model, both.capabilities.tools) == ("openai", "m", True)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in OpenAISettings.model_fields.values())


async def test_health() -> None:
    async def listing(peer: Peer) -> None:
        await peer.head(200)
        await peer.send(b'{"data": []}')

    async def locked(peer: Peer) -> None:
        await peer.head(401)

    async def loading(peer: Peer) -> None:
        await peer.head(503)
        await peer.send(b'{"error": {"message": "Loading model"}}')

    async with Misbehaving(listing) as server:
        free = provider(server.base_url, price_input_usd_micro=0, price_output_usd_micro=0)
        assert (await free.health()).ready
        assert "answers." in (await free.health()).detail
        assert "price_input_usd_micro" in (await provider(server.base_url).health()).detail
        assert server.requests[0].line == "GET /v1/models HTTP/1.1"
        for behaviour, words in ((locked, "OPENAI_API_KEY"), (loading, "Loading model"), (never, "0.15 s")):
            server.behaviour = behaviour
            told = await provider(server.base_url, health_s=0.15 if behaviour is never else 5.0).health()
            assert not told.ready
            assert words in told.detail
    gone = await provider(server.base_url).health()
    assert not gone.ready
    assert "base_url" in gone.detail


@pytest.mark.long
async def test_a_real_server() -> None:
    url = os.environ.get("OURO_TEST_OPENAI_URL")
    if not url:
        pytest.skip("OURO_TEST_OPENAI_URL names no server")
    chosen = OpenAISettings(base_url=url, model=os.environ.get("OURO_TEST_OPENAI_MODEL", ""))
    asked = OpenAIProvider(settings=chosen, api_key=os.environ.get)
    assert (await asked.health()).ready
    conversation = (Message(role="user", text="Answer with the single word: yes"),)
    events = [item async for item in asked.respond(conversation, (), Limits(max_tokens=8, seed=1))]
    assert text_of(events).strip()
    done = events[-1]
    assert isinstance(done, Done)
    assert done.usage.tokens_out > 0
    async with aclosing(asked.respond(conversation, (), Limits(max_tokens=256))) as begun:
        await first(begun)
    assert (await asked.health()).ready
