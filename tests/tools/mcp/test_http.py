"""Servers over streamable HTTP: the SDK's own in a process of its own, and wrong ones on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ledger.errors import ToolError
from tests.tools.mcp.conftest import SECRETS, Hall, call, until, view
from tools.mcp.http import LINES, REQUESTS, REQUESTS_A_SECOND, Bounded
from tools.mcp.server import ConnectionState

SECRET = SECRETS["MCP_TOKEN"]
BEARER = {"Authorization": {"variable": "MCP_TOKEN", "prefix": "Bearer "}}


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    script = Path(__file__).with_name("http_server.py")
    with subprocess.Popen([sys.executable, str(script), SECRET], stdout=subprocess.PIPE) as running:
        yield running
        running.kill()


def server_of(process: subprocess.Popen[bytes], **more: Any) -> dict[str, Any]:
    assert process.stdout is not None
    port = int(process.stdout.readline())
    return {"url": f"http://127.0.0.1:{port}/mcp", "headers": BEARER, "tools": ["*"], **more}


async def test_a_server_over_http_is_called_bounded_watched_and_lost(
    hall: Hall, process: subprocess.Popen[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    hall.sandbox = None  # nothing is started here, so that none is needed
    servers = await hall.start(servers={"x": server_of(process)}, recheck_s=0.3)
    assert view(servers).standing is ConnectionState.CONNECTED, view(servers)
    assert json.loads(await call(servers, "add", '{"a": 2, "b": 3}')) == 5
    with pytest.raises(ToolError, match=r"refused the call|lost during the call"):
        await call(servers, "large")
    assert json.loads(await call(servers, "add", '{"a": 2, "b": 4}')) == 6
    assert await call(servers, "grow") == "grown"
    await until(lambda: servers.find("mcp_x_grown") is not None)
    process.kill()
    await until(lambda: "mcp.lost" in hall.events())
    assert SECRET not in json.dumps(hall.notes) + caplog.text + repr(servers.views())


async def test_a_refusal_that_quotes_the_secret_is_told_without_it(
    hall: Hall, process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("wrong-but-secret-all-the-same\n")
    token.chmod(0o600)
    servers = await hall.start(
        servers={"x": server_of(process, headers={"Authorization": {"file": str(token)}}, restarts=0)}
    )
    assert view(servers).standing is ConnectionState.GIVEN_UP and view(servers).reason
    assert "wrong-but" not in json.dumps(hall.notes)


@asynccontextmanager
async def answering(head: str, body: bytes = b"") -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that says the same to everybody; its address, and what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"{head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp", asked


async def refused(hall: Hall, url: str) -> str:
    servers = await hall.start(servers={"x": {"url": url, "headers": BEARER, "tools": ["*"], "restarts": 0}})
    assert view(servers).standing is ConnectionState.GIVEN_UP, view(servers)
    return view(servers).reason


async def test_nobody_else_is_asked_because_of_a_redirect(hall: Hall) -> None:
    async with answering("HTTP/1.1 200 OK") as (other, asked_there):
        async with answering(f"HTTP/1.1 307 Elsewhere\r\nLocation: {other}") as (url, asked):
            await refused(hall, url)
        assert asked and not asked_there
    assert any(SECRET.encode() in head for head in asked)


@pytest.mark.parametrize("kind", ["compressed", "long", "nonsense"])
async def test_answers_that_are_no_message_are_survived(hall: Hall, kind: str) -> None:
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json"
    body = {"compressed": gzip.compress(b" " * 50_000_000), "long": b" " * 3_000_000, "nonsense": b"{]"}[kind]
    more = "\r\nContent-Encoding: gzip" if kind == "compressed" else ""
    said = {"compressed": "compressed", "long": "longer than 2097152 bytes", "nonsense": "JSON"}[kind]
    async with answering(head + more, body) as (url, _):
        assert said in await refused(hall, url)


async def test_an_event_stream_is_never_decompressed(hall: Hall) -> None:
    body = gzip.compress(b"\n" * 20_000_000)  # lines that make no event, each of which the SDK would look at
    longest_s = 0.0

    async def watch() -> None:
        nonlocal longest_s
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            await asyncio.sleep(0)
            longest_s = max(longest_s, clock() - began)

    watching = asyncio.create_task(watch())
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip"
    async with answering(head, body) as (url, _):
        await refused(hall, url)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert longest_s < 1.5  # 20 million lines take longer


async def test_requests_and_lines_of_a_server_are_paced() -> None:
    """A server ends its stream and has it opened again at once, or sends lines that make no message."""

    class Blank(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"\n" * (LINES // 2)

    class Quick(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, stream=Blank())

    transport, clock = Bounded(Quick(), 4096, 1.0), asyncio.get_running_loop().time
    request = httpx2.Request("GET", "http://127.0.0.1/mcp")
    for _ in range(REQUESTS):
        response = await transport.handle_async_request(request)
    began = clock()
    await transport.handle_async_request(request)
    assert clock() - began > 0.5 / REQUESTS_A_SECOND
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            async for _ in response.stream:
                pass


async def test_a_server_that_never_answers_the_goodbye_is_left(hall: Hall) -> None:
    """The end of a session is one more request, and the daemon's end waits for it."""
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if not head.startswith("POST"):
            if head.startswith("DELETE"):
                left.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), 3)  # until the client has gone
            writer.close()
            return
        length = int(re.findall(r"(?i)content-length: (\d+)", head)[0])
        asked = json.loads(await reader.readexactly(length))
        results = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "x", "version": "1"},
            },
            "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
        }
        answer = {"jsonrpc": "2.0", "id": asked.get("id")}
        if asked.get("method") in results:
            answer["result"] = results[asked["method"]]
        else:
            answer["error"] = {"code": -32601, "message": "no such method"}
        body = json.dumps(answer).encode() if "id" in asked else b""
        status = "200 OK" if body else "202 Accepted"
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nMcp-Session-Id: abc\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        servers = await hall.start(servers={"x": {"url": url, "tools": ["*"]}}, stop_s=0.2)
        assert view(servers).standing is ConnectionState.CONNECTED, view(servers)
        clock = asyncio.get_running_loop().time
        began = clock()
        await servers.stop()
        assert left.is_set() and clock() - began < 2


async def test_a_port_where_nobody_listens_is_told(hall: Hall) -> None:
    async with answering("HTTP/1.1 200 OK") as (url, _):
        pass
    assert "connect" in (await refused(hall, url)).lower()


@pytest.mark.parametrize(
    ("make", "why"),
    [(None, "cannot be read"), (0o644, "open to others"), ("folder", "is not a file"), ("empty", "not one line")],
)
async def test_a_header_that_cannot_be_had_is_refused_at_once(
    hall: Hall, tmp_path: Path, make: int | str | None, why: str
) -> None:
    token = tmp_path / "token"
    if make == "folder":
        token.mkdir(mode=0o700)
    elif make is not None:
        token.write_text("" if make == "empty" else "tok")
        token.chmod(make if isinstance(make, int) else 0o600)
    settings = {"url": "http://127.0.0.1:9/mcp", "headers": {"X-Key": {"file": str(token)}}, "tools": ["*"]}
    servers = await hall.start(servers={"x": settings, "y": {**settings, "headers": {"X": {"variable": "UNSET"}}}})
    one, other = servers.views()
    assert one.standing is other.standing is ConnectionState.REFUSED
    assert why in one.reason and "not set" in other.reason
