"""The other end of the control socket: an :class:`~daemon.api.Api` that asks the running daemon."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pydantic import BaseModel

from daemon.api import (
    Ack,
    AnswerRequest,
    CostView,
    DiffView,
    Event,
    EventsRequest,
    Fixing,
    FixRequest,
    HealthView,
    LogRequest,
    LogView,
    NoParams,
    OpRef,
    OpsRequest,
    OpsView,
    OpView,
    RejectRequest,
    StatusView,
    SubmitRequest,
    Submitted,
)
from daemon.api_intake import (
    DropRequest,
    PostureRequest,
    PostureView,
    SensorsView,
    SignalRef,
    SignalsRequest,
    SignalsView,
)
from daemon.api_people import Answered, ConversationView, Reply, SayRequest, Utterance
from daemon.bounds import ControlSettings
from daemon.control_token import read
from daemon.greeting import RemoteError as RemoteError
from daemon.greeting import gone, greet, reach, refusal_of
from daemon.peers import give_up_capabilities
from daemon.wire import SUBSCRIBE, request_line
from governance.grounding.calibration import Calibration
from ledger import event_loop
from ledger.errors import NoDaemon
from ledger.parsers.json import read_json

R = TypeVar("R", bound=BaseModel)
T = TypeVar("T")
_ANSWER_LIMIT_BYTES = 256 * 1024 * 1024  # the daemon is trusted: a long diff or log is one line


class Client:
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
        """Connect and show the token that lies at ``token``; without one the daemon tells only how it is.

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

    async def status(self) -> StatusView:
        return await self._ask("status", NoParams(), StatusView)

    async def ops(self, request: OpsRequest) -> OpsView:
        return await self._ask("ops", request, OpsView)

    async def show(self, request: OpRef) -> OpView:
        return await self._ask("show", request, OpView)

    async def diff(self, request: OpRef) -> DiffView:
        return await self._ask("diff", request, DiffView)

    async def submit(self, request: SubmitRequest) -> Submitted:
        return await self._ask("submit", request, Submitted)

    async def fix(self, request: FixRequest) -> Fixing:
        # a scan runs the owner's suite: as long as that takes, and the socket's end says when the daemon is gone
        return await self._ask("fix", request, Fixing, timeout_s=None)

    async def approve(self, request: OpRef) -> Ack:
        return await self._ask("approve", request, Ack)

    async def reject(self, request: RejectRequest) -> Ack:
        return await self._ask("reject", request, Ack)

    async def answer(self, request: AnswerRequest) -> Ack:
        return await self._ask("answer", request, Ack)

    async def hear(self, request: Utterance) -> Answered:
        return await self._ask("hear", request, Answered)

    async def say(self, request: SayRequest) -> Reply:
        return await self._ask("say", request, Reply)

    async def conversation(self) -> ConversationView:
        return await self._ask("conversation", NoParams(), ConversationView)

    async def cancel(self, request: OpRef) -> Ack:
        return await self._ask("cancel", request, Ack)

    async def undo(self, request: OpRef) -> Ack:
        return await self._ask("undo", request, Ack)

    async def pause(self) -> Ack:
        return await self._ask("pause", NoParams(), Ack)

    async def resume(self) -> Ack:
        return await self._ask("resume", NoParams(), Ack)

    async def signals(self, request: SignalsRequest) -> SignalsView:
        return await self._ask("signals", request, SignalsView)

    async def sensors(self) -> SensorsView:
        return await self._ask("sensors", NoParams(), SensorsView)

    async def retry(self, request: SignalRef) -> Ack:
        return await self._ask("retry", request, Ack)

    async def drop(self, request: DropRequest) -> Ack:
        return await self._ask("drop", request, Ack)

    async def posture(self, request: PostureRequest) -> PostureView:
        return await self._ask("posture", request, PostureView)

    async def cost(self) -> CostView:
        return await self._ask("cost", NoParams(), CostView)

    async def calibration(self) -> Calibration:
        return await self._ask("calibration", NoParams(), Calibration)

    async def health(self) -> HealthView:
        return await self._ask("health", NoParams(), HealthView)

    async def reload(self) -> Ack:
        return await self._ask("reload", NoParams(), Ack)

    async def shutdown(self) -> Ack:
        return await self._ask("shutdown", NoParams(), Ack)

    async def log(self, request: LogRequest) -> LogView:
        return await self._ask("log", request, LogView)

    async def events(self, request: EventsRequest) -> AsyncIterator[Event]:
        """Events until the daemon ends the stream; raises ``NoDaemon`` when it went away."""
        async for event in await self.subscribe(request):
            yield event

    async def subscribe(self, request: EventsRequest) -> AsyncIterator[Event]:
        """Like :meth:`events`, but the subscription stands when this returns: nothing after it is missed."""
        result = await self._call(SUBSCRIBE, request, self._settings.answer_timeout_s)
        return self._drain(self._queue(int(result["subscription"])))

    async def _drain(self, queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
        while (event := await queue.get()) is not None:
            yield event
        if self._pump.done():
            raise gone()

    async def _ask(self, method: str, params: BaseModel, result: type[R], *, timeout_s: float | None = -1.0) -> R:
        limit = self._settings.answer_timeout_s if timeout_s == -1.0 else timeout_s
        return result.model_validate_json(json.dumps(await self._call(method, params, limit)))

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


def ask(path: Path, settings: ControlSettings, token: Path, work: Callable[[Client], Awaitable[T]]) -> T:
    """For plain code: connect, do ``work``, disconnect."""

    async def whole() -> T:
        async with await Client.connect(path, settings, token=token) as client:
            return await work(client)

    return event_loop.run(whole())
