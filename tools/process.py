"""The one way to run a child process on the event loop: own process group, limits on time and output, no leftovers.

asyncio's own subprocess support is not used: its ``wait()`` hangs when a grandchild keeps the pipe or the pipe is full
(CPython gh-119710). Here one pidfd and plain pipes are watched by the loop; no thread is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger.children import Child, start
from ledger.errors import ChildFailed
from ledger.tasks import wait_until_done
from tools.streams import Collected, HeadAndTail, PipeWriter, Reader, Talk

REPORT_FD = "{report-fd}"
"""Placeholder for the number of the report pipe: a whole element of ``argv`` or a whole value of ``env``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What to run. ``argv`` begins with an absolute path (``ledger.programs`` finds one); ``env`` is the complete
    environment; the caller closes ``pass_fds``.

    At ``timeout_s`` (None: no limit) the group gets SIGTERM, ``grace_s`` later SIGKILL. Output beyond ``cap_bytes`` is
    dropped in the middle; beyond ``flood_bytes`` the group is ended; all of it is written to the descriptor ``spool``,
    if given. ``report`` opens a second pipe for the child, read into ``Finished.report``. With ``talk`` its data goes
    to ``talk`` instead, and the child's standard input stays open for what ``talk`` sends. With ``speaks`` that pipe is
    the child's standard output, and ``Finished.output`` is its standard error only.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    timeout_s: float | None
    grace_s: float = 0.5
    pipe_grace_s: float = 0.2  # how long pipes are still read after the child has exited
    stdin: bytes = b""
    cap_bytes: int = 512 * 1024
    flood_bytes: int = 64 * 1024 * 1024
    pass_fds: tuple[int, ...] = ()
    report: bool = False
    report_cap_bytes: int = 64 * 1024 * 1024
    talk: Talk | None = None
    speaks: bool = False
    spool: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended: exactly one of ``code`` and ``signal`` is set. ``output``: stdout and stderr, interleaved."""

    code: int | None
    signal: int | None
    output: bytes
    cut_bytes: int
    timed_out: bool
    flooded: bool
    duration_ms: int
    report: bytes = b""


async def run(command: Command) -> Finished:
    """Run ``command`` to its end. Raises ``ChildFailed`` when it cannot be started.

    The child's whole process group is dead and the child reaped when this returns or raises. When the task is
    cancelled the group is ended first (SIGTERM, then SIGKILL), then ``CancelledError`` is raised.
    """
    child = _Child(command, asyncio.get_running_loop())
    try:
        await asyncio.wait({child.ended})
    except asyncio.CancelledError:
        child.end()
        await wait_until_done(child.ended)
        raise
    return child.finished()


async def wait_gone(pid: int, *, within_s: float) -> bool:
    """Wait for process ``pid``, not necessarily a child, to exit; False after ``within_s``. Cancellation is delayed."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[bool] = loop.create_future()
    loop.add_reader(pidfd, _settle, gone, True)
    timer = loop.call_later(within_s, _settle, gone, False)
    try:
        if await wait_until_done(gone):
            raise asyncio.CancelledError
        return gone.result()
    finally:
        timer.cancel()
        loop.remove_reader(pidfd)
        os.close(pidfd)


def _settle(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


def _pidfd_of(process: Child) -> int:
    """The pidfd of a child that was just started: not reaped yet, so its process id cannot have been reused."""
    try:
        return os.pidfd_open(process.pid)
    except OSError as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise ChildFailed(
            f"A child was started but cannot be watched: {error.strerror}.",
            remedy="The kernel must be 5.3 or newer, and the limit on open files high enough.",
        ) from error


class _Child:
    """One running child. Every method but the constructor runs as a callback of the loop."""

    def __init__(self, command: Command, loop: asyncio.AbstractEventLoop) -> None:
        self._command = command
        self._loop = loop
        self.ended: asyncio.Future[bool] = loop.create_future()
        self._output = HeadAndTail(command.cap_bytes)
        self._report = Collected(command.report_cap_bytes)
        self._timed_out = self._flooded = self._ending = False
        self._started = loop.time()
        self._duration_ms = 0
        self._timers: list[asyncio.TimerHandle] = []
        self._streams: list[Reader] = []
        self._process = self._spawn()
        loop.add_reader(self._pidfd, self._exited)
        if command.timeout_s is not None:
            self._timers.append(loop.call_later(command.timeout_s, self._time_out))

    def _spawn(self) -> Child:
        command = self._command
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            out_r, out_w = os.pipe()
            ours.callback(os.close, out_r)
            theirs.callback(os.close, out_w)
            # A pipe even where there is nothing to read: whoever owns /dev/null can change its rights by a descriptor.
            stdin_r, stdin_w = os.pipe()
            theirs.callback(os.close, stdin_r)
            ours.callback(os.close, stdin_w)
            report_r = report_w = -1
            if command.report or command.speaks:
                report_r, report_w = os.pipe()
                ours.callback(os.close, report_r)
                theirs.callback(os.close, report_w)
            process = self._popen(stdin_r, out_w, report_w)
            self._pidfd = _pidfd_of(process)
            ours.pop_all()
        self._streams.append(Reader(self._loop, out_r, self._took_output, self._maybe_over))
        if report_r >= 0:
            take = command.talk.take if command.talk else self._report.add
            self._streams.append(Reader(self._loop, report_r, take, self._maybe_over))
        self._feed = PipeWriter(self._loop, stdin_w)
        self._feed.send(command.stdin)
        if command.talk:
            command.talk.bind(self._feed, self._streams[-1])
        else:
            self._feed.finish()
        return process

    def _popen(self, stdin_r: int, out_w: int, report_w: int) -> Child:
        command = self._command
        number = str(report_w)
        argv = [number if word == REPORT_FD else word for word in command.argv]
        try:
            return start(
                argv,
                cwd=command.cwd,
                env={name: number if value == REPORT_FD else value for name, value in command.env.items()},
                stdin=stdin_r,
                stdout=report_w if command.speaks else out_w,
                stderr=out_w,
                pass_fds=(*command.pass_fds, *((report_w,) if command.report else ())),
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise ChildFailed(
                f"{argv[0]!r} cannot be started in {str(command.cwd)!r}: {reason}.",
                remedy="Check that the program is installed and the folder exists.",
            ) from error

    def _took_output(self, data: bytes) -> None:
        self._output.add(data)
        if self._command.spool is not None:
            with contextlib.suppress(OSError):  # a full disk: head and tail are kept all the same
                os.write(self._command.spool, data)
        if self._output.total > self._command.flood_bytes and not self._flooded:
            self._flooded = True
            self.end()

    def _time_out(self) -> None:
        if self._process.returncode is None and not self._ending:
            self._timed_out = True
            self.end()

    def end(self) -> None:
        """Send SIGTERM to the group, and SIGKILL after ``grace_s``."""
        if self._ending or self._process.returncode is not None:
            return
        self._ending = True
        self._signal(signal.SIGTERM)
        self._timers.append(self._loop.call_later(self._command.grace_s, self._signal, signal.SIGKILL))

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is not None:
            return  # reaped: the process group id may have been reused
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _exited(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._signal(signal.SIGKILL)  # the rest of the group, while the zombie leader still reserves its id
        self._process.wait()  # does not block: the pidfd is readable, so it has exited
        self._duration_ms = round((self._loop.time() - self._started) * 1000)
        self._feed.close()
        self._maybe_over()
        if not self.ended.done():  # a process outside the group keeps a pipe open: wait a moment
            self._timers.append(self._loop.call_later(self._command.pipe_grace_s, self._over))

    def _maybe_over(self) -> None:
        if self._process.returncode is not None and not any(stream.open for stream in self._streams):
            self._over()

    def _over(self) -> None:
        for timer in self._timers:
            timer.cancel()
        for stream in self._streams:
            stream.finish()
        _settle(self.ended, True)

    def finished(self) -> Finished:
        code = self._process.returncode
        output, cut = self._output.result()
        return Finished(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            output=output,
            cut_bytes=cut,
            timed_out=self._timed_out,
            flooded=self._flooded,
            duration_ms=self._duration_ms,
            report=self._report.result(),
        )
