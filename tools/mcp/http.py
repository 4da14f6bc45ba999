"""A server over streamable HTTP: the SDK's transport, on a client that limits answers and reads no environment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
from mcp.client.streamable_http import streamable_http_client

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

EVENT_STREAM = "text/event-stream"


class TooLarge(httpx2.StreamError):
    """An answer is longer than a message may be, or compressed, so that its length is unknown."""


class Bounded(httpx2.AsyncBaseTransport):
    """Aborts answers that are too long. Events of a stream are limited by the SDK, one by one."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, limit: int) -> None:
        self._inner, self._limit = inner, limit

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-type", "").lower().startswith(EVENT_STREAM):
            return response
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)  # an asynchronous transport has no other
        response.stream = _Counted(stream, self._limit, packed="content-encoding" in response.headers)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, limit: int, *, packed: bool) -> None:
        self._inner, self._limit, self._packed = inner, limit, packed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._packed:  # in spite of our Accept-Encoding; decompressed it may be a thousand times longer
            raise TooLarge("the answer is compressed")
        left = self._limit
        async for part in self._inner:
            left -= len(part)
            if left < 0:
                raise TooLarge(f"the answer is longer than {self._limit} bytes")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def http_transport(
    url: str, headers: Mapping[str, str], *, message_bytes: int, timeout_s: float
) -> AsyncIterator[TransportStreams]:
    """Streams of a connection to ``url``. No proxy or netrc of the environment; redirects only within the origin.

    Reading has no time-out (a stream may be open for days): callers have their own.
    """
    async with (
        httpx2.AsyncClient(
            headers={**headers, "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(timeout_s, read=None),
            trust_env=False,
            transport=Bounded(httpx2.AsyncHTTPTransport(trust_env=False), message_bytes),
        ) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=message_bytes) as streams,
    ):
        yield streams
