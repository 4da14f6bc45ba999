"""Listens for webhooks. One request a connection; connections, their time and their bytes are bounded.

When all places are taken, a new connection takes that of the one which has kept us waiting longest: silent
connections cannot keep a sender out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from daemon.lifecycle.logs import logger
from daemon.webhook.http import Admit, HttpRequest, Refusal, linger, read_request, status_response
from daemon.webhook.settings import WebhookSettings
from ledger.errors import ConfigError

Take = Callable[[HttpRequest], Awaitable[HTTPStatus]]
Note = Callable[[Refusal], Awaitable[None]]

SLOW = Refusal(status=HTTPStatus.REQUEST_TIMEOUT, rule="http.slow", reason="The request took too long to arrive.")
CROWDED = Refusal(
    status=HTTPStatus.SERVICE_UNAVAILABLE, rule="http.crowded", reason="It said nothing while others wanted its place."
)
BUSY = Refusal(
    status=HTTPStatus.SERVICE_UNAVAILABLE, rule="http.busy", reason="Every place is taken by a request in progress."
)


class WebhookServer:
    """``admit`` judges a head, ``take`` a whole request, and gives its status; ``note`` records a refusal."""

    def __init__(self, *, admit: Admit, take: Take, note: Note, settings: WebhookSettings) -> None:
        self._admit = admit
        self._take = take
        self._note = note
        self._settings = settings
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.StreamWriter, None] = {}  # those that we wait for, oldest first
        self._judging = 0

    async def start(self) -> None:
        """Listen. Raises ``ConfigError`` where the address cannot be had."""
        host, port = self._settings.host, self._settings.port
        try:
            self._server = await asyncio.start_server(self._connected, host, port)
        except OSError as error:
            raise ConfigError(
                f"Webhooks cannot be heard on {host} port {port}: {error.strerror}.",
                remedy="Choose another webhook.port, or end what listens there.",
            ) from error

    async def close(self) -> None:
        """No new connections; those that are open end now."""
        if self._server is None:
            return
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._judging + len(self._waiting) >= self._settings.connections and self._waiting:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.transport.abort()
        busy = self._judging >= self._settings.connections
        self._waiting[writer] = None
        work = self._serve(reader, writer, BUSY if busy else None)
        task = asyncio.get_running_loop().create_task(work, name="webhook")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger("webhook").error("a webhook failed", exc_info=error)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, refusal: Refusal | None) -> None:
        try:
            request = refusal or await self._read(reader, writer)
            if refusal is None and writer not in self._waiting:
                await self._note(CROWDED)
            elif isinstance(request, Refusal):
                await self._note(request)
                await self._answer(reader, writer, request.status)
            elif request is not None:
                await self._answer(reader, writer, await self._judge(request, writer))
        finally:
            self._waiting.pop(writer, None)
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> HttpRequest | Refusal | None:
        try:
            async with asyncio.timeout(self._settings.request_s):
                return await read_request(reader, writer, admit=self._admit, body_bytes=self._settings.body_bytes)
        except TimeoutError:
            return SLOW
        except ConnectionError:
            return None

    async def _judge(self, request: HttpRequest, writer: asyncio.StreamWriter) -> HTTPStatus:
        """A connection keeps its place while its request is judged."""
        del self._waiting[writer]
        self._judging += 1
        try:
            return await self._take(request)
        finally:
            self._judging -= 1
            self._waiting[writer] = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: HTTPStatus) -> None:
        try:
            writer.write(status_response(status))
            writer.write_eof()
            await linger(reader)
        except OSError:
            return  # who is gone needs no answer
