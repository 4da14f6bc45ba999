"""A chat-completions server on loopback that does exactly what a test tells it, wrong things included."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """What the client sent."""

    line: str
    headers: dict[str, str]
    body: dict[str, Any]


class Peer:
    """One connection, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> Request:
        """The next request; ``IncompleteReadError`` when the client goes first."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (item.partition(":") for item in rest)}
        raw = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Request(line, headers, json.loads(raw) if raw else {})

    async def send(self, raw: bytes) -> None:
        self._writer.write(raw)
        await self._writer.drain()

    async def head(self, status: int = 200, **headers: str) -> None:
        """The head of an answer whose body ends with the connection."""
        lines = [f"HTTP/1.1 {status} X", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def stream(self, *chunks: dict[str, Any] | str) -> None:
        """A whole event stream: a dict is a chunk, a string is data as it stands."""
        await self.head(content_type="text/event-stream")
        for chunk in chunks:
            await self.send(event(chunk))

    async def gone(self) -> None:
        """Returns when the client has closed its side."""
        with contextlib.suppress(ConnectionError):
            await self._reader.read()

    def cut(self) -> None:
        """Drop the connection with a reset."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Behaviour = Callable[[Peer], Awaitable[None]]


class Misbehaving:
    """``async with Misbehaving(behaviour) as server``: ``behaviour`` runs once a connection, after the request."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.requests: list[Request] = []
        self.connections = 0
        self.met = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.met.set()
        peer = Peer(reader, writer)
        try:
            self.requests.append(await peer.receive())
            await self.behaviour(peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def event(data: dict[str, Any] | str, newline: str = "\n") -> bytes:
    """One event as it stands on the wire."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"data: {text}{newline}{newline}".encode()


def chunk(text: str | None = None, *, finish: str | None = None, calls: list[dict[str, Any]] | None = None) -> Any:
    """One chunk of a completion."""
    delta: dict[str, Any] = {} if text is None else {"content": text}
    if calls is not None:
        delta["tool_calls"] = calls
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": None}


def call(index: int | None, *, id: str | None = None, name: str | None = None, arguments: str = "") -> dict[str, Any]:
    """A piece of a tool call."""
    piece: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        piece["index"] = index
    if id is not None:
        piece |= {"id": id, "type": "function"}
    if name is not None:
        piece["function"]["name"] = name
    return piece


def usage(read: int, written: int) -> dict[str, Any]:
    """The closing chunk that counts tokens."""
    return {"choices": [], "usage": {"prompt_tokens": read, "completion_tokens": written}}
