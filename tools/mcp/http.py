"""A server over streamable HTTP: the SDK's transport, on a client that limits answers and reads no environment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
from mcp.client.streamable_http import streamable_http_client

from tools.mcp.list_filter import Pace

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

EVENT_STREAM = "text/event-stream"
REQUESTS, REQUESTS_A_SECOND = 100, 5
LINES, LINES_A_SECOND = 100_000, 10_000
"""Requests of one connection, and lines of its event streams: as fast as they come, then no more than a second's. A
server can make the SDK open an ended stream again without pause, and send lines that make no message."""


class TooLarge(httpx2.StreamError):
    """An answer is longer than a message may be, or compressed, so that its length is unknown."""


class Bounded(httpx2.AsyncBaseTransport):
    """Aborts answers that are too long or compressed, and paces requests and event streams.

    Events of a stream are limited in size by the SDK, one by one. The goodbye (DELETE) may take ``stop_s``; what its
    answer holds is not read.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, limit: int, stop_s: float) -> None:
        self._inner, self._limit, self._stop_s = inner, limit, stop_s
        self._requests, self._lines = Pace(REQUESTS, REQUESTS_A_SECOND), Pace(LINES, LINES_A_SECOND)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "DELETE":  # the SDK waits for it without end, and the daemon's end for the SDK
            async with asyncio.timeout(self._stop_s):
                answer = await self._inner.handle_async_request(request)
                await answer.aclose()
            return httpx2.Response(answer.status_code)
        await self._requests.keep()
        response = await self._inner.handle_async_request(request)
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)  # an asynchronous transport has no other
        events = response.headers.get("content-type", "").lower().startswith(EVENT_STREAM)
        response.stream = _Counted(
            stream,
            None if events else self._limit,
            packed="content-encoding" in response.headers,
            lines=self._lines,
        )
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    """``limit``: most bytes of the body; None for an event stream, which is paced by its lines."""

    def __init__(self, inner: httpx2.AsyncByteStream, limit: int | None, *, packed: bool, lines: Pace) -> None:
        self._inner, self._limit, self._packed, self._lines = inner, limit, packed, lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._packed:  # in spite of our Accept-Encoding; decompressed it may be a thousand times longer
            raise TooLarge("the answer is compressed")
        taken = 0
        async for part in self._inner:
            taken += len(part)
            if self._limit is None:
                await self._lines.keep(part.count(b"\n") + part.count(b"\r"))
            elif taken > self._limit:
                raise TooLarge(f"the answer is longer than {self._limit} bytes")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def http_transport(
    url: str, headers: Mapping[str, str], *, message_bytes: int, timeout_s: float, stop_s: float
) -> AsyncIterator[TransportStreams]:
    """Streams of a connection to ``url``. No proxy or netrc of the environment; redirects only within the origin.

    Reading has no time-out (a stream may be open for days): callers have their own.
    """
    async with (
        httpx2.AsyncClient(
            headers={**headers, "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(timeout_s, read=None),
            trust_env=False,
            transport=Bounded(httpx2.AsyncHTTPTransport(trust_env=False), message_bytes, stop_s),
        ) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=message_bytes) as streams,
    ):
        yield streams
