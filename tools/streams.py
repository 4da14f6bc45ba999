"""Pipes of a child, watched by the event loop: read as it comes, written as it fits, kept within bounds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

CHUNK = 64 * 1024
LAST_READS = 16  # what may still lie in a pipe when it is given up; a holder that keeps writing gets no more


class HeadAndTail:
    """Keeps the first and the last half of ``cap`` bytes; ``total`` counts all."""

    def __init__(self, cap: int) -> None:
        self._half = max(1, cap // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._half:  # trimmed seldom, so that each byte is moved about once
            del self._tail[: -self._half]

    def result(self) -> tuple[bytes, int]:
        """What was kept, with a line that says what is missing, and how many bytes that is."""
        tail = bytes(self._tail[-self._half :])
        cut = self.total - len(self._head) - len(tail)
        gap = f"\n[... {cut} bytes cut ...]\n".encode() if cut else b""
        return bytes(self._head) + gap + tail, cut


class Collected:
    """Keeps the first ``cap`` bytes."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        self._data += data[: self._cap - len(self._data)]

    def result(self) -> bytes:
        return bytes(self._data)


class Reader:
    """Reads a pipe whenever it has something; owns the descriptor. ``ended`` is called once, at end of file."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, fd: int, take: Callable[[bytes], None], ended: Callable[[], None]
    ) -> None:
        os.set_blocking(fd, False)
        self._loop, self._fd, self._take, self._ended = loop, fd, take, ended
        self.open = True
        loop.add_reader(fd, self._ready)

    def _ready(self) -> None:
        if not self._read():
            self._close()
            self._ended()

    def _read(self) -> bool:
        """One read; False at the end of the file."""
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return True
        self._take(data)
        return bool(data)

    def hold(self) -> None:
        """Read no more for now: the pipe fills, and the other side has to wait."""
        if self.open:
            self._loop.remove_reader(self._fd)

    def go_on(self) -> None:
        """Read again after :meth:`hold`."""
        if self.open:
            self._loop.add_reader(self._fd, self._ready)

    def finish(self) -> None:
        """Take what lies in the pipe and let it go."""
        if not self.open:
            return
        for _ in range(LAST_READS):
            try:
                data = os.read(self._fd, CHUNK)
            except BlockingIOError:
                break
            if not data:
                break
            self._take(data)
        self._close()

    def _close(self) -> None:
        self.open = False
        self._loop.remove_reader(self._fd)
        os.close(self._fd)


class Writer:
    """Feeds a pipe as it fits; owns the descriptor. What is sent after the other side has gone is dropped."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        os.set_blocking(fd, False)
        self._loop, self._fd = loop, fd
        self._rest = bytearray()
        self._open, self._waiting, self._last = True, False, False

    @property
    def waiting(self) -> int:
        """Bytes that the other side has not taken yet."""
        return len(self._rest) if self._open else 0

    def send(self, data: bytes) -> None:
        self._rest += data
        if self._open and self._rest and not self._waiting:
            self._waiting = True
            self._loop.add_writer(self._fd, self._ready)

    def finish(self) -> None:
        """The other side sees the end of the file once everything is written."""
        self._last = True
        if not self._rest:
            self.close()

    def _ready(self) -> None:
        try:
            written = os.write(self._fd, self._rest[:CHUNK])
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.close()
            return
        del self._rest[:written]
        if not self._rest:
            self._idle()
            if self._last:
                self.close()

    def _idle(self) -> None:
        if self._waiting:
            self._waiting = False
            self._loop.remove_writer(self._fd)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._idle()
            os.close(self._fd)


class Talk:
    """A conversation with a child while it runs: ``take`` gets what it reports, as it comes.

    What is said before the child is there waits for it. Who cannot keep up calls ``hold``, then ``go_on``.
    """

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self.take = take
        self._writer: Writer | None = None
        self._reader: Reader | None = None
        self._early = bytearray()

    @property
    def waiting(self) -> int:
        """Bytes that were said and not yet heard."""
        return self._writer.waiting if self._writer else len(self._early)

    def bind(self, writer: Writer, reader: Reader) -> None:
        """The child is there; this is its standard input, and this what it reports."""
        self._writer, self._reader = writer, reader
        writer.send(bytes(self._early))
        self._early.clear()

    def say(self, data: bytes) -> None:
        if self._writer is None:
            self._early += data
        else:
            self._writer.send(data)

    def finish(self) -> None:
        """Say no more: the child sees the end of its standard input."""
        if self._writer is not None:
            self._writer.finish()

    def hold(self) -> None:
        if self._reader is not None:
            self._reader.hold()

    def go_on(self) -> None:
        if self._reader is not None:
            self._reader.go_on()
