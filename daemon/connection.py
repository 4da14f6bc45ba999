"""One client of the control socket: its reader, its writer, its requests and its subscriptions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from daemon.api import Api, Event, EventsRequest
from daemon.bounds import ControlSettings
from daemon.control_token import Token
from daemon.logs import logger
from daemon.rpc import (
    BadRequest,
    Request,
    answer,
    failure_line,
    greeting,
    needs_token,
    parse,
    subscription_request,
    without_token,
)
from daemon.wire import (
    BUSY,
    HELLO,
    INVALID_REQUEST,
    SUBSCRIBE,
    UNSUBSCRIBE,
    error_line,
    notification_line,
    result_line,
)
from ledger.errors import OuroError

_END = b""  # the writer's mark: nothing follows


class Connection:
    """Runs until the client goes, reads nothing for too long, or :meth:`finish` is called.

    A request that has begun is carried out even when its client goes: an approval must not stop half-way.
    """

    def __init__(
        self,
        *,
        api: Api,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        settings: ControlSettings,
        token: Token,
        own: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._api = api
        self._reader = reader
        self._writer = writer
        self._settings = settings
        self._own = own
        self._token = token
        self._trusted = False  # this one client has shown the token
        self._turned_away = False  # it has shown a wrong one
        self._out: asyncio.Queue[bytes] = asyncio.Queue(maxsize=settings.backlog)
        self._requests: set[asyncio.Task[None]] = set()
        self._subscriptions: dict[int, asyncio.Task[None]] = {}
        self._numbers = 0
        self._reading: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve the client to its end."""
        self._writing = writing = self._own(self._write())
        self._reading = reading = self._own(self._read())
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

    def finish(self) -> None:
        """Read no more; what is being answered still is."""
        if self._reading is not None:
            self._reading.cancel()

    async def _put(self, line: bytes) -> None:
        """Queue a line; where the queue is full, wait for room or for the client's end."""
        if self._writing is None or self._writing.done():
            return
        if not self._out.full():
            self._out.put_nowait(line)
            return
        putting = asyncio.ensure_future(self._out.put(line))
        try:
            await asyncio.wait((putting, self._writing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()

    async def _write(self) -> None:
        while (line := await self._out.get()) != _END:
            self._writer.write(line)
            try:
                await asyncio.wait_for(self._writer.drain(), self._settings.write_timeout_s)
            except TimeoutError:
                logger("control").warning("a client that does not read was dropped")
                return
            except ConnectionError:
                return
        try:
            self._writer.close()
            await asyncio.wait_for(self._writer.wait_closed(), self._settings.write_timeout_s)
        except (TimeoutError, ConnectionError):
            return

    async def _read(self) -> None:
        while not self._turned_away:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                if error.partial.strip():
                    await self._take(error.partial)
                return
            except asyncio.LimitOverrunError:
                text = f"A line may hold {self._settings.line_bytes} bytes at most."
                await self._put(error_line(None, INVALID_REQUEST, text))
                return
            except ConnectionError:
                return
            if line.strip():
                await self._take(line)

    async def _take(self, line: bytes) -> None:
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
            await self._put(self._subscription(request))
        elif len(self._requests) >= self._settings.requests:
            await self._put(error_line(request.id, BUSY, "Too many unanswered requests.", remedy="Wait for answers."))
        else:
            task = self._own(self._carry_out(request))
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)

    async def _greet(self, request: Request) -> None:
        """Who shows a wrong token is not heard any further."""
        line, self._trusted = greeting(request, self._token)
        await self._put(line)
        if not self._trusted and request.params.get("token"):
            logger("control").warning("a client showed a wrong token")
            self._turned_away = True

    async def _carry_out(self, request: Request) -> None:
        line = await answer(self._api, request)
        if not request.silent:
            await self._put(line)

    def _subscription(self, request: Request) -> bytes:
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
        self._numbers += 1
        number = self._numbers
        task = self._own(self._follow(number, self._api.events(wanted)))
        self._subscriptions[number] = task
        task.add_done_callback(lambda _: self._subscriptions.pop(number, None))
        return result_line(request.id, {"subscription": number})

    async def _follow(self, number: int, events: AsyncIterator[Event]) -> None:
        """Forward events. A full queue holds the iterator back, which then counts what was missed."""
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
