"""A web server that does what a test tells it, byte by byte, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.loopback import listening

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def page(body: bytes, kind: str = "text/plain", *more: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A whole answer. ``length``: what the header claims."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        *more,
        f"Content-Length: {len(body) if length is None else length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def to(location: str, status: str = "302 Found") -> bytes:
    """A redirect; it also tries to set a cookie."""
    head = f"HTTP/1.1 {status}\r\nLocation: {location}\r\nSet-Cookie: id=1; Path=/\r\nContent-Length: 0\r\n\r\n"
    return head.encode("utf-8")


def packed(data: bytes) -> bytes:
    return page(gzip.compress(data), "text/plain", "Content-Encoding: gzip")


async def drips(writer: asyncio.StreamWriter) -> None:
    """A page that never gets on."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless(writer: asyncio.StreamWriter) -> None:
    """A page without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"4000\r\n" + b"a" * 0x4000 + b"\r\n")
        await writer.drain()


async def endless_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"X: " + b"a" * 0x4000 + b"\r\n")
        await writer.drain()


@dataclass
class Site:
    """Answers by path. ``asked`` holds each request's head."""

    answers: Mapping[str, Answer]
    port: int = 0
    asked: list[str] = field(default_factory=list)
    busy: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str, host: str = "localhost", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.asked.append(head)
        self.busy.set()
        answer = self.answers.get(head.split(" ")[1].partition("?")[0], page(b"", status="404 Not Found"))
        if isinstance(answer, bytes):
            writer.write(answer)
            await writer.drain()
        else:
            await answer(writer)


@asynccontextmanager
async def site(answers: Mapping[str, Answer], *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """A server on the loopback address, until the block ends."""
    made = Site(answers)
    async with listening(made.serve, tls=tls) as made.port:
        yield made
