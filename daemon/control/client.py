"""The other end of the control socket: an :class:`~daemon.control.messages.Api` that asks the running daemon."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import BaseModel

from daemon.control.greeting import RemoteError as RemoteError
from daemon.control.greeting import gone, greet, reach, refusal_of
from daemon.control.messages import Event, EventsRequest
from daemon.control.method import Method, NoParams
from daemon.control.peers import give_up_capabilities
from daemon.control.table import ControlApi
from daemon.control.token import read
from daemon.control.wire import SUBSCRIBE, request_line
from daemon.settings.bounds import ControlSettings
from ledger.errors import NoDaemon
from ledger.parsers.json import read_json

_ANSWER_LIMIT_BYTES = 256 * 1024 * 1024  # the daemon is trusted: a long diff or log is one line


class Client(ControlApi):
    """One connection, several requests at a time. Use as ``async with await Client.connect(...) as client``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settings: ControlSettings) -> None:
        self._reader = reader
        self._writer = writer
        self._settings = settings
        self._numbers = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._events: dict[int, asyncio.Queue[Event | None]] = {}
        self._pump = asyncio.get_running_loop().create_task(self._receive())

    @classmethod
    async def connect(cls, path: Path, settings: ControlSettings, *, token: Path) -> Client:
        """Connect and show the token that lies at ``token``; without one only methods that need none are answered.

        Raises ``NoDaemon`` when nothing answers there, ``RemoteError`` when the daemon does not want this client,
        ``ConfigError`` when the token cannot be trusted.
        """
        give_up_capabilities()
        channel = await reach(path)
        try:
            shown = read(token)  # only now: whoever listens has made his before
            await greet(channel, shown.reveal() if shown is not None else "", settings.answer_timeout_s)
            reader, writer = await asyncio.open_unix_connection(sock=channel, limit=_ANSWER_LIMIT_BYTES)
        except BaseException:
            channel.close()
            raise
        return cls(reader, writer, settings)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection; safe to call twice."""
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    async def _carry_out(self, method: Method, *request: BaseModel) -> Any:
        limit = self._settings.answer_timeout_s if method.limited else None  # the socket ends where the daemon does
        found = await self._call(method.name, request[0] if request else NoParams(), limit)
        return method.result.model_validate_json(json.dumps(found))

    async def events(self, request: EventsRequest) -> AsyncIterator[Event]:
        """Events until the daemon ends the stream; raises ``NoDaemon`` when it went away."""
        async for event in await self.subscribe(request):
            yield event

    async def subscribe(self, request: EventsRequest) -> AsyncIterator[Event]:
        """Like :meth:`events`, but subscribed when this returns: no later event is missed."""
        result = await self._call(SUBSCRIBE, request, self._settings.answer_timeout_s)
        return self._drain(self._queue(int(result["subscription"])))

    async def _drain(self, queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
        while (event := await queue.get()) is not None:
            yield event
        if self._pump.done():
            raise gone()

    async def _call(self, method: str, params: BaseModel, timeout_s: float | None) -> Any:
        if self._pump.done():
            raise gone()
        self._numbers += 1
        number = self._numbers
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._writer.write(request_line(number, method, params.model_dump(mode="json")))
            await self._writer.drain()
            async with asyncio.timeout(timeout_s):  # not wait_for: where the answer has just come it swallows a Ctrl-C
                return await future
        except TimeoutError as error:
            raise NoDaemon(
                f"The daemon has not answered `{method}` within {timeout_s:g} s.", remedy="Its log may say why."
            ) from error
        except ConnectionError as error:
            raise gone() from error
        finally:
            self._waiting.pop(number, None)

    def _queue(self, number: int) -> asyncio.Queue[Event | None]:
        return self._events.setdefault(number, asyncio.Queue())

    async def _receive(self) -> None:
        try:
            while line := await self._reader.readline():
                self._dispatch(read_json(line))
        except (ConnectionError, ValueError):
            return  # torn or foreign: the same as an end
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(gone())
            for queue in self._events.values():
                queue.put_nowait(None)

    def _dispatch(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "event":
            number = params.pop("subscription")
            self._queue(number).put_nowait(Event.model_validate_json(json.dumps(params)))
        elif message.get("method") == "ended":
            self._queue(params["subscription"]).put_nowait(None)
        elif "error" in message:
            error = refusal_of(message["error"])
            future = self._waiting.get(message.get("id") or 0)
            waiting = [future] if future else list(self._waiting.values())  # no id: it refuses the whole connection
            for one in waiting:
                if not one.done():
                    one.set_exception(error)
        else:
            future = self._waiting.get(message["id"])
            if future is not None and not future.done():
                future.set_result(message["result"])
