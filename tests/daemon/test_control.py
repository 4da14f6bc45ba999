from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.control.client import Client, RemoteError
from daemon.control.messages import Event, EventsRequest, FixRequest, OpRef, OpsRequest
from daemon.control.method import needs_daemon
from daemon.control.server import ControlServer
from daemon.control.table import METHODS, STREAMS, ControlApi, needs_token
from daemon.control.token import Token
from daemon.control.wire import HELLO, NO_TOKEN, PROTOCOL, SUBSCRIBE, UNSUBSCRIBE
from daemon.lifecycle.exits import Exit
from daemon.settings.bounds import ControlSettings
from ledger.errors import ConfigError, ControlError, InstanceHeld, NoDaemon
from tests.daemon.scripted_api import OP, ScriptedApi, entry

SETTINGS = ControlSettings(line_bytes=4096, requests=3, connections=4, write_timeout_s=0.3, close_timeout_s=0.3)


TOKEN = "c0ffee" * 10 + "cafe"


def laid(socket_path: Path) -> Token:
    """The token of a server on that path, laid beside it as the state folder of its owner would hold it."""
    path = beside(socket_path)
    path.write_text(TOKEN)
    path.chmod(0o600)
    return Token(TOKEN)


def beside(socket_path: Path) -> Path:
    return socket_path.with_name("control.token")


async def connected(path: Path, settings: ControlSettings = SETTINGS) -> Client:
    """The client of the socket's owner."""
    return await Client.connect(path, settings, token=beside(path))


@asynccontextmanager
async def serving(
    tmp_path: Path, settings: ControlSettings = SETTINGS, kind: type[ControlServer] = ControlServer
) -> AsyncIterator[tuple[ScriptedApi, Path]]:
    api, path = ScriptedApi(), tmp_path / "control.sock"
    server = kind(api=api, path=path, settings=settings, token=laid(path))
    await server.start()
    try:
        yield api, path
    finally:
        api.gate.set()
        await server.close()


@asynccontextmanager
async def raw(path: Path, *, hello: bool = True) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=2**24)
    try:
        if hello:
            writer.write(call(HELLO, protocol=PROTOCOL, token=TOKEN))
            greeted = json.loads(await asyncio.wait_for(reader.readline(), 5))
            assert greeted["result"] == {"protocol": PROTOCOL, "trusted": True}
        yield reader, writer
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def connected_raw(path: Path) -> AbstractAsyncContextManager[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that has not said hello."""
    return raw(path, hello=False)


async def say(path: Path, line: bytes, *, hello: bool = False) -> Any:
    async with raw(path, hello=hello) as (reader, writer):
        writer.write(line)
        return json.loads(await asyncio.wait_for(reader.readline(), 5))


def call(method: str, **params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode() + b"\n"


async def test_socket_is_private_and_removed_at_the_end(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_an_answer_carries_the_id_and_the_result(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path):
        found = await say(path, call("status"))
        assert found["id"] == 7 and found["jsonrpc"] == "2.0"
        assert found["result"]["state"] == "ACTIVE"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{nonsense\n", -32700),
        (b"[" * 3000 + b"\n", -32700),
        (b"\xff\xfe\n", -32700),
        (b'[{"jsonrpc":"2.0","id":1,"method":"status"}]\n', -32600),
        (b"3\n", -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"status"}\n', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"status"}\n', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"status"}\n', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":5}\n', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"rm"}\n', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"show","params":[1]}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"show","params":{}}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"show","params":{"op":"a","force":true}}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"ops","params":{"limit":0}}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"after":-1}}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"status"}', None),  # the end of input ends a line too
        (b"\n\n" + call("status"), None),
    ],
)  # fmt: skip
async def test_what_a_line_gets(tmp_path: Path, line: bytes, code: int | None) -> None:
    async with serving(tmp_path) as (_, path), raw(path) as (reader, writer):
        writer.write(line)
        writer.write_eof()
        found = json.loads(await asyncio.wait_for(reader.readline(), 5))
        assert found.get("error", {}).get("code") == code
        assert await reader.read() == b""


async def test_an_oversized_line_ends_the_connection_and_no_other(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path), raw(path) as (reader, writer), raw(path) as (other, asking):
        writer.write(b"x" * 200_000)
        found = json.loads(await asyncio.wait_for(reader.readline(), 5))
        assert found["error"]["code"] == -32600 and "4096 bytes" in found["error"]["message"]
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        asking.write(call("status"))
        assert json.loads(await other.readline())["id"] == 7


async def test_a_refusal_keeps_its_remedy_and_its_exit_code(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path), await connected(path) as client:
        with pytest.raises(RemoteError) as caught:
            await client.approve(OpRef(op="7f3a"))
        assert caught.value.message == "Only the owner may."
        assert caught.value.remedy == "Ask the owner."
        assert (caught.value.kind, caught.value.exit) == ("PolicyRefused", Exit.REFUSED)


async def test_a_fault_of_ours_says_no_detail(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path):
        found = await say(path, call("cancel", op="7f3a"), hello=True)
        assert found["error"]["code"] == -32603
        assert "secret detail" not in json.dumps(found)
        assert (await say(path, call("status")))["result"]["version"]


async def test_a_notification_is_carried_out_and_not_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as (api, path), raw(path) as (reader, writer):
        writer.write(b'{"jsonrpc":"2.0","method":"status"}\n' + call("ops"))
        assert json.loads(await reader.readline())["id"] == 7
        assert sorted(name for name, _ in api.asked) == ["ops", "status"]


async def test_requests_of_one_client_are_bounded_and_run_side_by_side(tmp_path: Path) -> None:
    async with serving(tmp_path) as (api, path), raw(path) as (reader, writer):
        for _ in range(3):
            writer.write(call("health"))
        writer.write(call("status"))
        found = json.loads(await asyncio.wait_for(reader.readline(), 5))
        assert found["error"]["code"] == -32001
        api.gate.set()
        for _ in range(3):
            assert json.loads(await reader.readline())["result"]["ok"]


async def test_clients_are_bounded(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path):
        clients = [await connected(path) for _ in range(4)]
        for client in clients:
            await client.status()
        found = await say(path, call("status"))
        assert found["error"]["code"] == -32001
        for client in clients:
            await client.close()
        for _ in range(200):
            found = await say(path, call("status"))
            if "result" in found:
                break
            await asyncio.sleep(0.01)
        assert "result" in found


async def test_a_client_that_reads_nothing_is_dropped_and_holds_nobody_up(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path):
        slow = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        slow.setblocking(False)
        slow.connect(str(path))
        with slow:
            slow.send(call(HELLO, protocol=PROTOCOL, token=TOKEN))
            for _ in range(3):
                slow.send(call("log", limit=1000))
            async with await connected(path) as client:
                assert (await asyncio.wait_for(client.status(), 5)).version
            for _ in range(300):  # the server lets go of it: our end hears of that
                try:
                    if slow.send(b"\n") == 0:
                        break
                except (BrokenPipeError, ConnectionResetError):
                    break
                await asyncio.sleep(0.01)
            else:
                pytest.fail("the client that does not read was kept")


async def test_a_request_goes_on_when_its_client_goes(tmp_path: Path) -> None:
    async with serving(tmp_path) as (api, path):
        async with raw(path) as (_, writer):
            writer.write(call("health"))
            await api.holding.wait()
        await asyncio.sleep(0.02)
        api.gate.set()
        assert (await say(path, call("status")))["result"]


async def test_events_reach_a_subscriber_with_their_cursor(tmp_path: Path) -> None:
    async with serving(tmp_path) as (api, path), await connected(path) as client:
        events = await client.subscribe(EventsRequest(after=41))
        await api.subscribed.wait()
        assert api.asked[-1] == ("events", EventsRequest(after=41))
        api.published.put_nowait(Event(cursor=42, entry=entry(42, "localised", lines=3), missed=2))
        found = await anext(events)
        assert (found.cursor, found.missed) == (42, 2)
        assert found.entry is not None and found.entry.payload["lines"] == 3
        api.published.put_nowait(None)
        assert [event async for event in events] == []
    await asyncio.wait_for(api.unsubscribed.wait(), 5)


async def test_a_lost_connection_ends_the_subscription_of_both_sides(tmp_path: Path) -> None:
    async with serving(tmp_path) as (api, path):
        async with await connected(path) as client:
            await client.subscribe(EventsRequest())
            await api.subscribed.wait()
        await asyncio.wait_for(api.unsubscribed.wait(), 5)


async def test_unsubscribe_ends_the_events(tmp_path: Path) -> None:
    async with serving(tmp_path) as (api, path), raw(path) as (reader, writer):
        writer.write(call("subscribe"))
        number = json.loads(await reader.readline())["result"]["subscription"]
        await api.subscribed.wait()
        writer.write(call("unsubscribe", subscription=number))
        assert json.loads(await reader.readline())["result"] == {"ended": True}
        await asyncio.wait_for(api.unsubscribed.wait(), 5)


async def test_when_the_daemon_stops_waiting_clients_are_told(tmp_path: Path) -> None:
    api, path = ScriptedApi(), tmp_path / "control.sock"
    server = ControlServer(api=api, path=path, settings=SETTINGS, token=laid(path))
    await server.start()
    async with await connected(path) as client:
        events = await client.subscribe(EventsRequest())
        waiting = asyncio.ensure_future(client.health())
        await api.holding.wait()
        await server.close()
        with pytest.raises(NoDaemon):
            await waiting
        with pytest.raises(NoDaemon):
            await anext(events)
        with pytest.raises(NoDaemon):
            await client.status()


async def test_a_last_answer_is_sent_before_the_end(tmp_path: Path) -> None:
    api, path = ScriptedApi(), tmp_path / "control.sock"
    server = ControlServer(api=api, path=path, settings=SETTINGS, token=laid(path))
    await server.start()
    async with await connected(path) as client:
        waiting = asyncio.ensure_future(client.health())
        await api.holding.wait()
        closing = asyncio.ensure_future(server.close())
        await asyncio.sleep(0.01)
        api.gate.set()
        assert (await waiting).ok
        await closing


async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon):
        await connected(tmp_path / "none.sock")


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    async with serving(tmp_path) as (_, path):
        assert (await say(path, call("status")))["result"]


async def test_a_live_socket_is_not_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path):
        with pytest.raises(InstanceHeld):
            await ControlServer(api=ScriptedApi(), path=path, settings=SETTINGS, token=Token(TOKEN)).start()
        assert (await say(path, call("status")))["result"]


async def test_a_plain_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("mine")
    with pytest.raises(ConfigError):
        await ControlServer(api=ScriptedApi(), path=path, settings=SETTINGS, token=Token(TOKEN)).start()
    assert path.read_text() == "mine"


class OtherUser(ControlServer):
    """As if the kernel said that somebody else is at the other end."""

    def peer_uid(self, channel: socket.socket) -> int:
        assert super().peer_uid(channel) == os.getuid()
        return os.getuid() + 1


async def test_another_user_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, kind=OtherUser) as (api, path):
        found = await say(path, call("status"))
        assert "owner" in found["error"]["message"]
        assert not api.asked


async def test_the_client_is_an_api(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path), await connected(path) as client:
        assert (await client.ops(OpsRequest(all=True))).ops[0].id == OP
        assert (await client.fix(FixRequest())).signals == ("sig-1",)
        assert (await client.cost()).lines[0].provider == "local"
        assert (await client.pause()).message == "paused"


async def test_a_silent_daemon_is_given_up_on(tmp_path: Path) -> None:
    impatient = SETTINGS.model_copy(update={"answer_timeout_s": 0.05})
    async with serving(tmp_path) as (_, path), await connected(path, impatient) as client:
        with pytest.raises(NoDaemon, match="health"):
            await client.health()


# --- the token -------------------------------------------------------------------------------------------------------

PARAMS: dict[str, dict[str, object]] = {
    "submit": {"goal": "x"},
    "answer": {"op": OP, "text": "yes"},
    "hear": {"text": "approve it", "confidence_bp": 10_000},
    "say": {"text": "x"},
    "retry": {"signal": "sig-1"},
    "drop": {"signal": "sig-1", "why": "x"},
    **{name: {"op": OP} for name in ("show", "diff", "approve", "reject", "cancel", "undo")},
}
GUARDED = sorted(name for name in (*METHODS, *STREAMS) if needs_token(name))


def test_every_verb_of_the_api_says_what_it_does() -> None:
    asked = {name for name in vars(ControlApi) if not name.startswith("_")}
    assert asked == {*METHODS, "events"}
    assert {SUBSCRIBE, UNSUBSCRIBE} == set(STREAMS)
    unguarded = {name for name in (*METHODS, *STREAMS) if not needs_token(name)}
    assert unguarded == {"status", "health", UNSUBSCRIBE}
    with pytest.raises(TypeError):
        needs_daemon(usage="/pause")  # type: ignore[call-arg]  # its effect is missing


@pytest.mark.parametrize("method", GUARDED)
async def test_without_the_token_nothing_is_changed_or_revealed(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path) as (api, path):
        for silent in (False, True):
            line = json.loads(call(method, **PARAMS.get(method, {})))
            if silent:
                del line["id"]
            found = await say(path, json.dumps(line).encode() + b"\n")
            assert found["error"]["code"] == NO_TOKEN and "control token" in found["error"]["message"]
            assert found["error"]["data"]["remedy"] and found["error"]["data"]["exit"] == 4
        assert not api.asked and not api.subscribed.is_set()


@pytest.mark.parametrize("method", GUARDED)
async def test_with_the_token_it_is_carried_out(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path) as (_, path):
        found = await say(path, call(method, **PARAMS.get(method, {})), hello=True)
        assert found.get("error", {}).get("code") != NO_TOKEN


async def test_what_one_client_has_shown_counts_for_no_other(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path), raw(path), connected_raw(path) as (reader, writer):
        writer.write(call("pause"))
        assert json.loads(await reader.readline())["error"]["code"] == NO_TOKEN


@pytest.mark.parametrize("shown", ["0" * 64, TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "x" * 200])
async def test_a_wrong_token_ends_the_connection(tmp_path: Path, shown: str) -> None:
    async with serving(tmp_path) as (api, path), connected_raw(path) as (reader, writer):
        writer.write(call(HELLO, protocol=PROTOCOL, token=shown) + call(HELLO, protocol=PROTOCOL, token=TOKEN))
        found = json.loads(await asyncio.wait_for(reader.readline(), 5))
        assert found["error"]["code"] == NO_TOKEN and TOKEN not in json.dumps(found)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        assert not api.asked


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"protocol": "x"},
        {"protocol": PROTOCOL, "token": 7},
        {"protocol": PROTOCOL, "token": "x" * 201},
        {"protocol": PROTOCOL, "token": "\ud800"},
        {"protocol": PROTOCOL, "token": TOKEN, "more": 1},
        {"protocol": PROTOCOL + 1, "token": TOKEN},
        {"protocol": 1, "token": TOKEN},
    ],
)
async def test_an_odd_hello_is_refused_and_never_quoted(tmp_path: Path, params: dict[str, object]) -> None:
    async with serving(tmp_path) as (_, path), connected_raw(path) as (reader, writer):
        writer.write(call(HELLO, **params))
        found = json.loads(await asyncio.wait_for(reader.readline(), 5))
        assert "error" in found and TOKEN not in json.dumps(found)


async def test_a_second_hello_takes_the_place_of_the_first(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path), raw(path) as (reader, writer):
        writer.write(call(HELLO, protocol=PROTOCOL) + call("pause"))
        assert json.loads(await reader.readline())["result"]["trusted"] is False
        assert json.loads(await reader.readline())["error"]["code"] == NO_TOKEN


async def test_where_there_is_no_token_the_client_hears_how_the_daemon_is_and_what_to_do(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path):
        beside(path).unlink()
        async with await connected(path) as client:
            assert (await client.status()).version
            with pytest.raises(RemoteError) as caught:
                await client.pause()
        assert caught.value.exit is Exit.REFUSED and "restart the daemon" in caught.value.remedy


async def test_a_token_that_is_not_private_is_not_shown(tmp_path: Path) -> None:
    async with serving(tmp_path) as (api, path):
        beside(path).chmod(0o644)
        with pytest.raises(ConfigError, match="mode is 0644"):
            await connected(path)
        assert not api.asked


async def test_a_daemon_of_protocol_1_is_named(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    laid(path)

    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.readline())
        error = {"code": -32601, "message": f"There is no method {asked['method']!r}.", "data": {}}
        writer.write(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": error}).encode() + b"\n")
        writer.close()

    async with await asyncio.start_unix_server(old, path):
        with pytest.raises(ControlError, match="older version"):
            await connected(path)


async def test_a_daemon_that_hangs_up_or_talks_nonsense_is_no_daemon(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    laid(path)
    said = iter((b"", b"nonsense\n", b"[]\n", b'{"result":7}\n'))

    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(said))
        writer.close()

    async with await asyncio.start_unix_server(odd, path):
        for _ in range(4):
            with pytest.raises(NoDaemon):
                await connected(path)


async def test_a_refusal_is_heard_though_the_daemon_has_hung_up(tmp_path: Path) -> None:
    async with serving(tmp_path, kind=OtherUser) as (_, path):
        for _ in range(20):
            with pytest.raises(RemoteError, match="owner only"):
                await connected(path)


@pytest.mark.parametrize("method", [HELLO, "status"])
async def test_a_flood_with_and_without_hello_holds_nobody_up(tmp_path: Path, method: str) -> None:
    lively = SETTINGS.model_copy(update={"connections": 8})
    async with serving(tmp_path, lively) as (_, path):
        async with raw(path) as (_, owner):
            flood = [asyncio.ensure_future(pour(path, call(method, protocol=PROTOCOL, token=""))) for _ in range(6)]
            async with await connected(path) as client:
                for _ in range(20):
                    assert (await asyncio.wait_for(client.status(), 5)).version
            owner.write(call("status"))
            for one in flood:
                one.cancel()
            await asyncio.gather(*flood, return_exceptions=True)
        assert (await say(path, call("status")))["result"]


async def pour(path: Path, line: bytes) -> None:
    """Ask without end and read nothing."""
    async with connected_raw(path) as (_, writer):
        while True:
            writer.write(line * 50)
            await writer.drain()
            await asyncio.sleep(0)


async def test_a_huge_hello_ends_the_connection_and_no_other(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path), connected_raw(path) as (reader, writer):
        with contextlib.suppress(ConnectionError):
            writer.write(call(HELLO, protocol=PROTOCOL, token="x" * 13_000_000))
            await asyncio.wait_for(writer.drain(), 5)
        with contextlib.suppress(ConnectionError):
            assert b"4096 bytes" in await asyncio.wait_for(reader.readline(), 5)
        async with await connected(path) as client:
            assert (await client.status()).version


def test_many_connections_at_once_are_turned_away_in_a_sentence(tmp_path: Path) -> None:
    async def whole() -> list[str]:
        async with serving(tmp_path) as (_, path):
            each = await asyncio.gather(*(connected(path) for _ in range(60)), return_exceptions=True)
            clients = [one for one in each if isinstance(one, Client)]
            assert len(clients) == SETTINGS.connections
            await asyncio.gather(*(one.close() for one in clients))
            return [str(one) for one in each if not isinstance(one, Client)]

    refused = asyncio.run(whole())
    assert len(refused) == 60 - SETTINGS.connections
    assert {text.split(".")[0] for text in refused} == {"Too many clients are connected"}


async def test_who_says_nothing_loses_its_place_to_the_owner(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"silent_s": 0.05})
    async with serving(tmp_path, settings) as (_, path), contextlib.AsyncExitStack() as stack:
        for _ in range(settings.connections):
            _, writer = await stack.enter_async_context(connected_raw(path))
            writer.write(b'{"jsonrpc":')
        with pytest.raises((ControlError, NoDaemon)):  # the control: not at once, a client may be about to say hello
            await connected(path)
        await asyncio.sleep(0.1)
        client = await connected(path)
        assert (await client.status()).version
        await client.close()


async def test_clients_that_showed_the_token_keep_their_places(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"silent_s": 0.0})
    async with serving(tmp_path, settings) as (_, path):
        clients = [await connected(path, settings) for _ in range(settings.connections)]
        with pytest.raises(RemoteError, match="Too many clients"):
            await connected(path, settings)
        await asyncio.gather(*(client.close() for client in clients))


async def test_what_waits_for_a_client_that_does_not_read_is_bounded_in_bytes(tmp_path: Path) -> None:
    """Its own words come back longer than they were: an id in an answer, a method that is not there."""
    settings = SETTINGS.model_copy(update={"line_bytes": 2**20, "backlog": 256, "backlog_bytes": 2**16})
    async with serving(tmp_path, settings) as (_, path), connected_raw(path) as (reader, writer):
        for identity in ("\u00e9" * 200_000, "x"):
            line = {"jsonrpc": "2.0", "id": identity, "method": "\u00e9" * 200_000}
            writer.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            said = await asyncio.wait_for(reader.readline(), 5)
            assert len(said) < 4_000 and b"error" in said
        sent, question, loop = 0, call("status") * 100, asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(ConnectionError):
            client.setblocking(False)
            await loop.sock_connect(client, str(path))
            while sent < 2**26:  # nothing is read: it is held back, then dropped
                await asyncio.wait_for(loop.sock_sendall(client, question), 10)
                sent += len(question)
        assert sent < 2**24


async def test_a_number_that_no_record_has_is_refused_in_a_sentence(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path):
        found = await say(path, call("log", after=2**63), hello=True)
        assert found["error"]["code"] == -32602 and "after" in found["error"]["message"]
