"""A warm test process in the sandbox: started once, it forks for every run.

The other end of the protocol is ``_ouro_test_worker.py``. Its messages are untrusted, like all that comes out of the
sandbox: an invalid frame ends the process and the run.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from ledger.frozen import Frozen
from ledger.tasks import wait_until_done
from ledger.vocabulary import Frame
from tools.process import Finished
from tools.sandbox.types import Job, Sandbox
from tools.streams import CHUNK, Collected, Talk
from tools.testing.report.events import LAST_LINE, Count, Place, Places, is_modest

log = logging.getLogger(__name__)
_HEADER = re.compile(rb"[RX][0-9a-f]{8}")
HEADER = 9  # a letter and eight hexadecimal digits
END_BYTES = 1024 * 1024
"""Size limit of the last frame without the output, of which each byte may take six."""
BACKSTOP_S = 10.0
"""Seconds after a run's limit at which a process that does not answer is ended from outside."""


class _EndFrame(Frozen):
    """The process's last frame of a run."""

    model_config = ConfigDict(strict=True)

    code: Annotated[int, Field(ge=0, le=255)] | None
    signal: Annotated[int, Field(ge=1, le=64)] | None
    timed_out: bool
    flooded: bool
    hung: str
    frames: Places
    ms: Count
    head: str
    tail: str
    bytes: Annotated[int, Field(ge=0, le=2**53)]
    spent: str

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.code is None) is (self.signal is None):
            raise ValueError("a process ends by itself or by a signal")
        return self


@dataclass(frozen=True, slots=True)
class Hung:
    """A test that was stopped at its own limit, and its stack."""

    id: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one run: the finished process, and the test that was stopped, if any."""

    finished: Finished
    hung: Hung | None = None


class Frames:
    """Reads the frames of one run as they arrive. The last one sets ``end``, the first invalid one ``flaw``.

    Time is linear, and memory is limited by ``report_bytes`` and the last frame's size with ``output_bytes`` of output.
    """

    def __init__(self, report_bytes: int, output_bytes: int) -> None:
        self._rest = bytearray()
        self._report = Collected(report_bytes)
        self._left = report_bytes
        self._longest = {b"R": CHUNK, b"X": 6 * output_bytes + END_BYTES}
        self.end: _EndFrame | None = None
        self.flaw = ""

    def take(self, data: bytes) -> None:
        if self.flaw:
            return
        self._rest += data
        while not self.flaw and len(self._rest) >= HEADER:
            header = bytes(self._rest[:HEADER])
            known = _HEADER.fullmatch(header) is not None and self.end is None
            kind, length = header[:1], int(header[1:], 16) if known else 0
            if not known or not 0 < length <= self._longest[kind]:
                self.flaw = "the test process sent an invalid frame"
                return
            if len(self._rest) < HEADER + length:
                return
            self._frame(kind, bytes(self._rest[HEADER : HEADER + length]))
            del self._rest[: HEADER + length]

    def _frame(self, kind: bytes, payload: bytes) -> None:
        if kind == b"R":
            self._left -= len(payload)
            self._report.add(payload)
            self.flaw = "the test process sent too long a report" if self._left < 0 else ""
            return
        try:
            self.end = _EndFrame.model_validate_json(payload) if is_modest(payload) else None
        except ValidationError:
            self.end = None
        if self.end is None:
            self.flaw = "the test process sent no valid end of the run"

    def ended(self) -> Ended:
        end = self.end
        if end is None:
            raise RuntimeError("the run is not over")
        head, tail = end.head.encode("latin-1", "replace"), end.tail.encode("latin-1", "replace")
        cut = max(0, end.bytes - len(head) - len(tail))
        gap = f"\n[... {cut} bytes cut ...]\n".encode() if cut else b""
        finished = Finished(
            code=end.code,
            signal=end.signal,
            output=head + gap + tail,
            cut_bytes=cut,
            timed_out=end.timed_out,
            flooded=end.flooded,
            duration_ms=end.ms,
            report=self._report.result(),
        )
        return Ended(finished, Hung(end.hung, frames_of(end.frames)) if end.hung else None)

    def broken(self, finished: Finished) -> Ended:
        """The result when the process ended before the run: the report so far, and the process's own end."""
        return Ended(
            Finished(
                code=finished.code,
                signal=finished.signal,
                output=finished.output,
                cut_bytes=finished.cut_bytes,
                timed_out=finished.timed_out,
                flooded=finished.flooded,
                duration_ms=finished.duration_ms,
                report=self._report.result(),
            )
        )

    def lost(self, why: str) -> Ended:
        """The result when the process's end is unknown."""
        nothing = Finished(
            code=None, signal=9, output=why.encode(), cut_bytes=0, timed_out=False, flooded=False, duration_ms=0
        )
        return self.broken(nothing)


def frames_of(places: Iterable[Place]) -> tuple[Frame, ...]:
    """Frames of a traceback that are valid places in the repository; others are left out."""
    return tuple(
        Frame(path=path, line=line, function=name)
        for path, line, name in places
        if 0 < line <= LAST_LINE and path.isprintable() and name.isprintable() and _is_inside(path)
    )


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return all(part not in ("", ".", "..") for part in parts) and parts[0] != ".git"


class WarmProcess:
    """One process and its successors: one that cannot be used again is replaced at the next run.

    One run at a time. ``job`` makes the job for a conversation; it is called in a thread.
    """

    def __init__(self, *, sandbox: Sandbox, job: Callable[[Talk], Job], report_bytes: int, output_bytes: int) -> None:
        self._sandbox, self._job = sandbox, job
        self._kept = (report_bytes, output_bytes)
        self._process: asyncio.Task[Finished] | None = None
        self._talk: Talk | None = None
        self._frames = Frames(*self._kept)
        self._news = asyncio.Event()

    async def start(self) -> None:
        """Start a process for the next run. Its errors are raised by the run."""
        await self._ready()

    async def run(self, order: bytes, *, limit_s: float) -> Ended:
        """Run one order (a line). Raises ``SandboxError`` or ``ChildFailed`` when no process can be started."""
        self._frames, self._news = Frames(*self._kept), asyncio.Event()
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
        cancelled = await wait_until_done(process)
        if not process.cancelled() and process.exception() is not None:
            log.info("a test process ended badly: %s", process.exception())
        if cancelled:
            raise asyncio.CancelledError

    async def _ready(self) -> tuple[asyncio.Task[Finished], Talk]:
        if self._process is not None and not self._process.done() and self._talk is not None:
            return self._process, self._talk
        await self.close()  # it may have ended before its first order
        self._talk = Talk(self._took)
        job = await asyncio.to_thread(self._job, self._talk)
        self._process = asyncio.create_task(self._sandbox.run(job), name="warm tests")
        return self._process, self._talk

    def _took(self, data: bytes) -> None:
        self._frames.take(data)
        if self._frames.end is not None or self._frames.flaw:
            self._news.set()
