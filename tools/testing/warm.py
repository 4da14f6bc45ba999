"""A warm test process in the sandbox: started once, it forks for every run that it is asked for.

The other end of the conversation is ``_ouro_test_worker.py``. What it says is a claim, like all that comes out of the
sandbox: a frame that makes no sense ends the process and the run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationError

from ledger.vocabulary import Frame, Frozen
from tools.process import Finished
from tools.sandbox.types import Job, Sandbox
from tools.streams import Collected, Talk

log = logging.getLogger(__name__)
HEADER = 9  # a letter and eight hexadecimal digits
FRAME_LIMIT = 64 * 1024 * 1024
BACKSTOP_S = 10.0
"""A process that does not answer this long after a run's limit is ended from outside."""


class _End(Frozen):
    """What the process says of a run that is over."""

    code: int | None
    signal: int | None
    timed_out: bool
    flooded: bool
    hung: str
    frames: tuple[tuple[str, int, str], ...]
    ms: Annotated[int, Field(ge=0)]
    head: str
    tail: str
    bytes: Annotated[int, Field(ge=0)]
    spent: str


@dataclass(frozen=True, slots=True)
class Hung:
    """A test that was stopped at its own limit, and where it was."""

    id: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """One run: how its process ended, and the test that was stopped (None: none was)."""

    finished: Finished
    hung: Hung | None = None


class Frames:
    """Reads the frames of one run as they come. ``end`` is set by the last one."""

    def __init__(self, report_bytes: int) -> None:
        self._rest = bytearray()
        self._report = Collected(report_bytes)
        self.end: _End | None = None
        self.flaw = ""

    def take(self, data: bytes) -> None:
        self._rest += data
        while not self.flaw and len(self._rest) >= HEADER:
            kind, size = bytes(self._rest[:1]), bytes(self._rest[1:HEADER])
            try:
                length = int(size, 16)
            except ValueError:
                length = FRAME_LIMIT + 1
            if kind not in (b"R", b"X") or length > FRAME_LIMIT or self.end is not None:
                self.flaw = "the test process said something that it never says"
                return
            if len(self._rest) < HEADER + length:
                return
            self._frame(kind, bytes(self._rest[HEADER : HEADER + length]))
            del self._rest[: HEADER + length]

    def _frame(self, kind: bytes, payload: bytes) -> None:
        if kind == b"R":
            self._report.add(payload)
            return
        try:
            self.end = _End.model_validate_json(payload)
        except ValidationError:
            self.flaw = "the test process did not say how the run ended"

    def ended(self) -> Ended:
        end = self.end
        if end is None:
            raise RuntimeError("the run is not over")
        head, tail = end.head.encode("latin-1", "replace"), end.tail.encode("latin-1", "replace")
        cut = max(0, end.bytes - len(head) - len(tail))
        gap = f"\n[... {cut} bytes cut ...]\n".encode() if cut else b""
        finished = Finished(
            code=end.code, signal=end.signal, output=head + gap + tail, cut_bytes=cut, timed_out=end.timed_out,
            flooded=end.flooded, duration_ms=end.ms, report=self._report.result(),
        )  # fmt: skip
        frames = tuple(Frame(path=path, line=line, function=name) for path, line, name in end.frames)
        return Ended(finished, Hung(end.hung, frames) if end.hung else None)

    def broken(self, finished: Finished) -> Ended:
        """The process ended before the run did: what there is of a report, and the process's own end."""
        return Ended(
            Finished(
                code=finished.code, signal=finished.signal, output=finished.output, cut_bytes=finished.cut_bytes,
                timed_out=finished.timed_out, flooded=finished.flooded, duration_ms=finished.duration_ms,
                report=self._report.result(),
            )
        )  # fmt: skip

    def lost(self, why: str) -> Ended:
        """Nothing can be known of the process's end."""
        nothing = Finished(
            code=None, signal=9, output=why.encode(), cut_bytes=0, timed_out=False, flooded=False, duration_ms=0
        )
        return self.broken(nothing)


class WarmProcess:
    """One process and its successors: one that cannot be used again is replaced at the next run.

    One run at a time. ``job`` makes the job for a conversation; it is called in a thread.
    """

    def __init__(self, *, sandbox: Sandbox, job: Callable[[Talk], Job], report_bytes: int) -> None:
        self._sandbox, self._job, self._report_bytes = sandbox, job, report_bytes
        self._process: asyncio.Task[Finished] | None = None
        self._talk: Talk | None = None
        self._frames = Frames(report_bytes)
        self._news = asyncio.Event()

    async def start(self) -> None:
        """Have a process begin to get ready for the next run. What keeps it from that is told by the run."""
        await self._ready()

    async def run(self, order: bytes, *, limit_s: float) -> Ended:
        """Have one order (a line) run. Raises ``SandboxError`` or ``ChildFailed`` when no process can be had."""
        self._frames, self._news = Frames(self._report_bytes), asyncio.Event()
        process, talk = await self._ready()
        talk.say(order)
        news = asyncio.ensure_future(self._news.wait())
        try:
            async with asyncio.timeout(limit_s + BACKSTOP_S):
                await asyncio.wait({process, news}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            await self.close()
            return self._frames.lost("the test process does not answer")
        except asyncio.CancelledError:
            await self.close()
            raise
        finally:
            news.cancel()
        if self._frames.end is not None:
            ended = self._frames.ended()
            if self._frames.end.spent:
                await self.close()
            return ended
        if self._frames.flaw:
            await self.close()
            return self._frames.lost(self._frames.flaw)
        self._process = None
        return self._frames.broken(process.result())

    async def close(self) -> None:
        """End the process, if there is one; everything that it started is dead when this returns."""
        process, self._process = self._process, None
        if process is None:
            return
        process.cancel()
        cancelled = False
        while not process.done():
            try:
                await asyncio.wait({process})
            except asyncio.CancelledError:
                cancelled = True
        if not process.cancelled() and process.exception() is not None:
            log.info("a test process ended badly: %s", process.exception())
        if cancelled:
            raise asyncio.CancelledError

    async def _ready(self) -> tuple[asyncio.Task[Finished], Talk]:
        if self._process is not None and not self._process.done() and self._talk is not None:
            return self._process, self._talk
        await self.close()  # one that ended before it was asked for anything
        self._talk = Talk(self._took)
        job = await asyncio.to_thread(self._job, self._talk)
        self._process = asyncio.create_task(self._sandbox.run(job), name="warm tests")
        return self._process, self._talk

    def _took(self, data: bytes) -> None:
        self._frames.take(data)
        if self._frames.end is not None or self._frames.flaw:
            self._news.set()
