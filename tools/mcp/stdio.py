"""A server as a child in the sandbox: its pipes as the streams that the SDK expects.

The SDK's own client for stdio is not used: it starts the child outside of any sandbox with variables of the daemon,
buffers messages of any length, and passes standard error through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from ledger.tasks import wait_until_done
from tools.mcp.names import visible
from tools.process import Finished
from tools.sandbox.types import Job, Sandbox
from tools.streams import Talk

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

LARGE = 64 * 1024  # larger messages are parsed in a thread
HIGH = 256 * 1024  # buffered bytes from which on reading pauses until lines are taken
MOST_GARBAGE = 20  # lines that are no message; some servers print a greeting
MOST_UNHEARD = 4 * 1024 * 1024  # bytes for its standard input that a server may leave unread


class StdioTransport:
    """Enter it once (``async with``), in the task that owns the server. Afterwards the child is dead and reaped."""

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        job: Callable[[Talk], Job],
        message_bytes: int,
        stop_s: float,
        over: Callable[[], None],
    ) -> None:
        self._sandbox, self._job, self._stop_s, self._over = sandbox, job, stop_s, over
        self._lines = LineSplitter(message_bytes)
        self._talk = Talk(self._took)
        self._news = asyncio.Event()
        self._flaw = ""
        self._why = ""
        self._garbage = 0
        self._first_garbage = ""
        self._child: asyncio.Task[Finished] | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(
        self,
    ) -> tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]:
        job = self._job(self._talk)
        self._to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        to_server, self._from_session = anyio.create_memory_object_stream[SessionMessage](0)
        self._ends = (self._to_session, from_server, to_server, self._from_session)
        self._child = asyncio.create_task(self._sandbox.run(job), name="mcp server")
        self._child.add_done_callback(lambda _: self._news.set())
        self._tasks = (
            asyncio.create_task(self._hear(self._child), name="mcp server says"),
            asyncio.create_task(self._say(), name="mcp server is told"),
        )
        return from_server, to_server

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._why = self._known()
        cancelled = await self._end_child()
        for task in self._tasks:
            task.cancel()
        cancelled |= await wait_until_done(*self._tasks)
        for stream in self._ends:
            stream.close()
        if cancelled:
            raise asyncio.CancelledError

    async def _end_child(self) -> bool:
        """Close the child's input, wait ``stop_s``, end it; True when there was a cancellation meanwhile."""
        child = self._child
        if child is None:
            return False
        self._talk.finish()
        self._lines.close()  # further output is read and dropped
        self._talk.go_on()
        cancelled = False
        try:
            await asyncio.wait({child}, timeout=self._stop_s)
        except asyncio.CancelledError:
            cancelled = True
        child.cancel()
        return await wait_until_done(child) or cancelled

    @property
    def reason(self) -> str:
        """Why the connection ended, unless we closed it; empty when unknown."""
        return self._why

    def _known(self) -> str:
        if self._flaw or self._lines.flaw:
            return self._flaw or self._lines.flaw
        if self._child is not None and self._child.done() and not self._child.cancelled():
            error = self._child.exception()
            return str(error) if error is not None else _ended(self._child.result())
        if self._first_garbage:
            return f"it writes to its standard output what is no message: {self._first_garbage!r}"
        return ""

    def _took(self, data: bytes) -> None:
        self._lines.add(data)
        if self._lines.full:
            self._talk.hold()
        self._news.set()

    async def _hear(self, child: asyncio.Task[Finished]) -> None:
        """Forward messages from the child to the session, as fast as the session takes them."""
        with self._to_session:
            while not self._flaw and not self._lines.flaw:
                line = self._lines.take()
                if line is not None:
                    await self._pass_on(line)
                elif child.done():  # the sandbox's monitor keeps the pipe open: EOF may never come
                    break
                else:
                    self._talk.go_on()
                    await self._news.wait()
                    self._news.clear()
        self._over()

    async def _pass_on(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            read = jsonrpc_message_adapter.validate_json
            message = (
                await asyncio.to_thread(read, line, by_name=False) if len(line) > LARGE else read(line, by_name=False)
            )
        except ValueError:
            self._first_garbage = self._first_garbage or visible(line[:200].decode("utf-8", errors="replace"), 80)
            self._garbage += 1
            if self._garbage > MOST_GARBAGE:
                self._flaw = f"it does not speak MCP on its standard output: {self._first_garbage!r}"
            return
        try:
            await self._to_session.send(SessionMessage(message))
        except anyio.BrokenResourceError:
            self._flaw = self._flaw or "the session is over"

    async def _say(self) -> None:
        """Forward messages from the session to the child, until it leaves more than ``MOST_UNHEARD`` bytes unread."""
        async for message in self._from_session:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            self._talk.say(text.encode() + b"\n")
            if self._talk.waiting > MOST_UNHEARD:
                self._flaw = "it does not read its standard input"
                self._news.set()
                return


def _ended(finished: Finished) -> str:
    lines = finished.output.decode("utf-8", errors="replace").strip().splitlines()
    said = f"; it said last: {visible(lines[-1], 200)}" if lines else ""
    if finished.flooded:
        return f"it wrote too much to its standard error{said}"
    how = f"by signal {finished.signal}" if finished.signal is not None else f"with code {finished.code}"
    return f"it ended {how}{said}"


class LineSplitter:
    """Splits added data into lines. ``flaw`` is set once a line is longer than ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self._seen = 0  # no line ends before this index
        self._closed = False
        self.flaw = ""

    @property
    def full(self) -> bool:
        """True while more than ``HIGH`` bytes, with a whole line among them, are buffered."""
        return len(self._data) > HIGH and self._end() >= 0

    def add(self, data: bytes) -> None:
        if self._closed:
            return
        self._data += data
        if self._end() < 0 and len(self._data) > self._limit:
            self._break()

    def take(self) -> bytes | None:
        """The next line without its end, or None."""
        end = self._end()
        if end < 0 and len(self._data) <= self._limit:
            return None
        if end < 0 or end > self._limit:
            self._break()
            return None
        line = bytes(self._data[:end])
        del self._data[: end + 1]
        self._seen = 0
        return line

    def close(self) -> None:
        """Drop the buffer and all data added later."""
        self._closed = True
        self._data.clear()
        self._seen = 0

    def _end(self) -> int:
        found = self._data.find(b"\n", self._seen)
        self._seen = len(self._data) if found < 0 else found
        return found

    def _break(self) -> None:
        self.flaw = f"it sent a message of more than {self._limit} bytes"
        self.close()
