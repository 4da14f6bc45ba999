"""One HTTP request with a streamed response, under four deadlines.

One timer is rescheduled as the exchange proceeds: until the request is sent it limits the connection (TLS included),
then the first byte of the body, then each silence; the total limits them all. The timer never spans a ``yield`` to the
caller, so it can only interrupt this exchange.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Literal, Protocol, cast

from ledger.errors import ProviderBadOutput, ProviderUnavailable
from ledger.vocabulary import Frozen

if TYPE_CHECKING:
    import httpx

Phase = Literal["connection", "first_byte", "idle", "total"]

_TIMEOUT_MESSAGES: Final[dict[Phase, str]] = {
    "connection": "no connection was made",
    "first_byte": "no byte of the answer arrived",
    "idle": "the answer stalled",
    "total": "the answer was not complete",
}


class Deadlines(Frozen):
    """Seconds. ``total_s`` counts from the start of the exchange."""

    connect_s: float
    first_byte_s: float
    idle_s: float
    total_s: float

    def of(self, phase: Phase) -> float:
        """Maximum duration of ``phase``."""
        spans = {"connection": self.connect_s, "first_byte": self.first_byte_s, "idle": self.idle_s}
        return spans.get(phase, self.total_s)


class _Socket(Protocol):
    async def aclose(self) -> None: ...


class HttpExchange:
    """Owns ``client`` and closes it: a client with a cancelled connect is never reused."""

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        deadlines: Deadlines,
        max_bytes: int,
        provider: str,
        where: str,
        clean: Callable[[str], str],
    ) -> None:
        self._client = client
        self._deadlines = deadlines
        self._max_bytes = max_bytes
        self._provider = provider
        self._where = where
        self._clean = clean
        self._end = asyncio.get_running_loop().time() + deadlines.total_s
        self._first_byte_at = self._end
        self._sockets: list[_Socket] = []

    async def open(self, method: str, url: str, body: bytes | None = None) -> httpx.Response:
        """Sends the request and waits for the response headers."""
        import httpx

        phase: Phase = "connection"
        loop = asyncio.get_running_loop()
        scope = asyncio.timeout_at(min(loop.time() + self._deadlines.connect_s, self._end))

        async def trace(event: str, info: Mapping[str, object]) -> None:
            nonlocal phase
            if event == "connection.connect_tcp.complete":
                self._sockets.append(cast("_Socket", info["return_value"]))
            elif event.endswith("send_request_headers.started") and not scope.expired():
                phase = "first_byte"
                self._first_byte_at = loop.time() + self._deadlines.first_byte_s
                scope.reschedule(min(self._first_byte_at, self._end))

        try:
            async with scope:
                request = self._client.build_request(method, url, content=body, extensions={"trace": trace})
                return await self._client.send(request, stream=True)
        except TimeoutError:
            raise self._late(phase) from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._broken(error) from None

    async def pieces(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The body in the chunks that arrive. A compressed one is refused: it may expand a million times."""
        import httpx

        seen = 0
        loop = asyncio.get_running_loop()
        chunks = cast("AsyncGenerator[bytes, None]", response.aiter_raw())  # declared as an iterator
        async with aclosing(response), aclosing(chunks) as body:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise self._bad("it is compressed, which was not requested")
            while True:
                phase: Phase = "idle" if seen else "first_byte"
                until = loop.time() + self._deadlines.idle_s if seen else self._first_byte_at
                try:
                    async with asyncio.timeout_at(min(until, self._end)):
                        piece = await anext(body, None)
                except TimeoutError:
                    raise self._late(phase) from None
                except httpx.TransportError as error:
                    raise self._broken(error) from None
                if piece is None:
                    return
                seen += len(piece)
                if seen > self._max_bytes:
                    raise self._bad(f"it is longer than {self._max_bytes} bytes")
                yield piece

    async def aclose(self) -> None:
        """Closes the socket in whatever state it is."""
        await self._client.aclose()
        # httpx leaks a socket whose TLS handshake is cancelled; closing the others twice is harmless.
        for made in self._sockets:
            await made.aclose()

    def _late(self, phase: Phase) -> ProviderUnavailable:
        if asyncio.get_running_loop().time() >= self._end:
            phase = "total"
        return ProviderUnavailable(
            f"{self._where}: {_TIMEOUT_MESSAGES[phase]} within {self._deadlines.of(phase):g} s.",
            provider=self._provider,
            kind=phase,
            remedy="Check whether the server is overloaded, or raise this deadline in the settings.",
        )

    def _broken(self, error: Exception) -> ProviderUnavailable:
        detail = self._clean(str(error))
        return ProviderUnavailable(
            f"{self._where}: the connection failed ({type(error).__name__}{': ' + detail if detail else ''}).",
            provider=self._provider,
            kind="connection",
            remedy="Start the server, or set its address in base_url.",
        )

    def _bad(self, why: str) -> ProviderBadOutput:
        return ProviderBadOutput(f"{self._where}: the answer is unusable: {why}.", provider=self._provider)
