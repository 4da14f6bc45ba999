"""Chat completions over real sockets that hang, break and are cancelled; then the key, the seal and the health."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from kernel.provider import Done, Event, Limits, Message, Price
from kernel.providers.openai import OpenAISettings
from kernel.providers.openai.provider import OpenAIProvider
from ledger.errors import ConfigError, PolicyRefused, ProviderError, ProviderUnavailable
from tests.kernel.asking import (
    ASK,
    KEY,
    SHORT_S,
    STREAM,
    against,
    ask,
    failing,
    good,
    provider,
    text_of,
)
from tests.kernel.misbehaving import Behaviour, Misbehaving, Peer, chunk

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
    assert "0.3 s" in caught.value.message


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

    async def cut_by_the_excerpt(peer: Peer) -> None:
        await peer.stream("x" * 100 + KEY)

    for behaviour in (echoes, in_chunk, in_stream, cut_by_the_excerpt):
        error = await failing(behaviour)
        assert KEY[:12] not in f"{error!r} {error} {error.remedy} {error.__cause__!r}"
    logged = [record.getMessage() for record in caplog.records if record.name.startswith(("httpx", "httpcore"))]
    assert logged  # else this looks at nothing
    assert not [line for line in logged if KEY in line]
    error = await failing(garbage)
    assert KEY not in f"{error!r} {error} {error.__cause__!r}"


async def test_the_key_goes_to_no_address_that_the_owner_has_not_written() -> None:
    """Anybody may listen at the default address of this machine."""
    async with Misbehaving(good) as server:

        class Untouched(OpenAISettings):
            base_url: str = server.base_url

        await ask(OpenAIProvider(settings=Untouched(model="m"), api_key=lambda _: KEY))
        await ask(OpenAIProvider(settings=Untouched(model="m", base_url=server.base_url), api_key=lambda _: KEY))
        untouched, written = server.requests
    assert "authorization" not in untouched.headers
    assert written.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("url", ["https://models.example.org/v1", "http://127.0.0.1:8080/v1"])
def test_over_https_the_key_may_go(url: str) -> None:
    class Untouched(OpenAISettings):
        base_url: str = url

    assert Untouched().may_send_key is url.startswith("https:")
    assert Untouched(base_url=url).may_send_key


async def test_a_model_without_a_name_is_told() -> None:
    async def refuses(peer: Peer) -> None:
        await peer.head(400)
        await peer.send(b'{"error": {"message": "model is required"}}')

    async def lists(peer: Peer) -> None:
        await peer.head(200)

    async with Misbehaving(refuses) as server:
        with pytest.raises(ProviderError) as caught:
            await ask(provider(server.base_url, model=""))
    assert caught.value.remedy.startswith("Set kernel.openai.model")
    async with Misbehaving(lists) as server:
        assert "kernel.openai.model is not set" in (await provider(server.base_url, model="").health()).detail


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
