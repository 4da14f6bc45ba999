"""One client of the control socket: its reader, its writer, its requests and its subscriptions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from daemon.control.messages import Event, EventsRequest
from daemon.control.rpc import (
    BadRequest,
    RpcRequest,
    answer,
    failure_line,
    greeting,
    parse,
    subscription_request,
    without_token,
)
from daemon.control.table import ControlApi, needs_token
from daemon.control.token import Token
from daemon.control.wire import (
    BUSY,
    HELLO,
    INVALID_REQUEST,
    SUBSCRIBE,
    UNSUBSCRIBE,
    error_line,
    notification_line,
    result_line,
)
from daemon.settings.bounds import ControlSettings
from ledger.errors import OuroError

_END = b""  # queued last: the writer stops there


class Connection:
    """Serves one client until it disconnects, does not read for too long, or :meth:`finish` is called.

    A request that has begun is completed even if its client disconnects: an approval must not stop half-way.
    """

    def __init__(
        self,
        *,
        api: ControlApi,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        settings: ControlSettings,
        token: Token,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        log_once: Callable[[str], None],
    ) -> None:
        self._api = api
        self._reader = reader
        self._writer = writer
        self._settings = settings
        self._spawn = spawn
        self._log_once = log_once
        self._token = token
        self._trusted = False  # the client has sent the right token
        self._rejected = False  # it has sent a wrong one
        self._out: deque[bytes] = deque()
        self._out_bytes = 0
        self._queued, self._room = asyncio.Event(), asyncio.Event()
        self._requests: set[asyncio.Task[None]] = set()
        self._subscriptions: dict[int, asyncio.Task[None]] = {}
        self._last_number = 0
        self._finishing = False
        self._last_read_at = asyncio.get_running_loop().time()
        self._reading: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve the client until it is gone."""
        self._writing = writing = self._spawn(self._write())
        self._reading = reading = self._spawn(self._read())
        try:
            await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
            await _stop(*self._subscriptions.values(), reading)
            while self._requests and not writing.done():
                await asyncio.wait((writing, *self._requests), return_when=asyncio.FIRST_COMPLETED)
            await self._put(_END)
            await asyncio.wait((writing,))
        finally:
            await _stop(writing, reading, *self._subscriptions.values())
            self._writer.transport.abort()

    @property
    def is_replaceable(self) -> bool:
        """Whether it may be closed in favour of a new client: no token, no open request, and silent for a while."""
        silent_s = asyncio.get_running_loop().time() - self._last_read_at
        return silent_s > self._settings.silent_s and not (self._trusted or self._requests or self._finishing)

    def finish(self) -> None:
        """Stop reading; requests that have begun are still answered."""
        self._finishing = True
        if self._reading is not None:
            self._reading.cancel()

    async def _put(self, line: bytes) -> None:
        """Queue a line; while the queue is full, wait for room or for the end of the writer."""
        while self._is_full and self._writing is not None and not self._writing.done():
            self._room.clear()
            room = asyncio.ensure_future(self._room.wait())
            try:
                await asyncio.wait((room, self._writing), return_when=asyncio.FIRST_COMPLETED)
            finally:
                room.cancel()
        if self._writing is not None and not self._writing.done():
            self._out.append(line)
            self._out_bytes += len(line)
            self._queued.set()

    @property
    def _is_full(self) -> bool:
        """Whether the queue for the client has reached its limit of lines or bytes. An empty queue never has."""
        limits = self._settings
        return len(self._out) >= limits.backlog or self._out_bytes >= limits.backlog_bytes

    async def _next(self) -> bytes:
        while not self._out:
            self._queued.clear()
            await self._queued.wait()
        return self._out.popleft()

    async def _write(self) -> None:
        while (line := await self._next()) != _END:
            self._writer.write(line)
            try:
                await asyncio.wait_for(self._writer.drain(), self._settings.write_timeout_s)
            except TimeoutError:
                self._log_once("a client that does not read was dropped")
                return
            except ConnectionError:
                return
            self._out_bytes -= len(line)
            self._room.set()
        try:
            self._writer.close()
            await asyncio.wait_for(self._writer.wait_closed(), self._settings.write_timeout_s)
        except (TimeoutError, ConnectionError):
            return

    async def _read(self) -> None:
        while not self._rejected and not self._finishing:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                if error.partial.strip():
                    await self._handle_line(error.partial)
                return
            except asyncio.LimitOverrunError:
                text = f"A line may hold {self._settings.line_bytes} bytes at most."
                await self._put(error_line(None, INVALID_REQUEST, text))
                return
            except ConnectionError:
                return
            self._last_read_at = asyncio.get_running_loop().time()
            if line.strip():
                await self._handle_line(line)

    async def _handle_line(self, line: bytes) -> None:
        try:
            request = parse(line)
        except BadRequest as bad:
            await self._put(bad.line)
            return
        if request.method == HELLO:
            await self._greet(request)
        elif needs_token(request.method) and not self._trusted:
            await self._put(without_token(request))
        elif request.method in (SUBSCRIBE, UNSUBSCRIBE):
            await self._put(self._subscribe_or_end(request))
        elif len(self._requests) >= self._settings.requests:
            await self._put(error_line(request.id, BUSY, "Too many unanswered requests.", remedy="Wait for answers."))
        else:
            task = self._spawn(self._answer(request))
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)

    async def _greet(self, request: RpcRequest) -> None:
        """Check the token; after a wrong one nothing more is read from the client."""
        line, self._trusted = greeting(request, self._token)
        await self._put(line)
        if not self._trusted and request.params.get("token"):
            self._log_once("a client sent a wrong token")
            self._rejected = True

    async def _answer(self, request: RpcRequest) -> None:
        line = await answer(self._api, request)
        if not request.silent:
            await self._put(line)

    def _subscribe_or_end(self, request: RpcRequest) -> bytes:
        try:
            wanted = subscription_request(request)
        except ValueError as error:
            return failure_line(request, error)
        if not isinstance(wanted, EventsRequest):
            task = self._subscriptions.get(wanted.subscription)
            if task is not None:
                task.cancel()
            return result_line(request.id, {"ended": task is not None})
        if len(self._subscriptions) >= self._settings.requests:
            return error_line(request.id, BUSY, "Too many subscriptions.", remedy="End one first.")
        self._last_number += 1
        number = self._last_number
        task = self._spawn(self._forward(number, self._api.events(wanted)))
        self._subscriptions[number] = task
        task.add_done_callback(lambda _: self._subscriptions.pop(number, None))
        return result_line(request.id, {"subscription": number})

    async def _forward(self, number: int, events: AsyncIterator[Event]) -> None:
        """Forward events. While the queue is full the iterator waits, and it counts the events that it drops."""
        reason = "the daemon has no more events"
        try:
            async for event in events:
                params = {"subscription": number, **event.model_dump(mode="json")}
                await self._put(notification_line("event", params))
        except OuroError as error:
            reason = str(error)
        finally:
            closing = getattr(events, "aclose", None)
            if closing is not None:
                await closing()
        await self._put(notification_line("ended", {"subscription": number, "reason": reason}))


async def _stop(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel tasks and wait until they have ended."""
    live = [task for task in tasks if task is not None and not task.done()]
    for task in live:
        task.cancel()
    await asyncio.gather(*live, return_exceptions=True)
