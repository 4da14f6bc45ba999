"""Pipes of a child process on the event loop: non-blocking readers and writers, and bounded buffers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

CHUNK = 64 * 1024
LAST_READS = 16  # bounds the last reads of a pipe that another process may still be writing


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
        """The kept bytes with a line in place of the cut ones, and how many were cut."""
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
    """Reads a pipe when it has data; owns the descriptor. ``take`` gets the data, ``ended`` is called once, at EOF."""

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
        """Pause reading: the pipe fills up, and the writer blocks."""
        if self.open:
            self._loop.remove_reader(self._fd)

    def go_on(self) -> None:
        """Resume reading after :meth:`hold`."""
        if self.open:
            self._loop.add_reader(self._fd, self._ready)

    def finish(self) -> None:
        """Read what is left in the pipe, then close it."""
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


class PipeWriter:
    """Writes to a pipe as it has room, and owns the descriptor. Data sent after the reader closed it is dropped."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        os.set_blocking(fd, False)
        self._loop, self._fd = loop, fd
        self._rest = bytearray()
        self._open, self._waiting, self._last = True, False, False

    @property
    def waiting(self) -> int:
        """Bytes that are not yet written to the pipe."""
        return len(self._rest) if self._open else 0

    def send(self, data: bytes) -> None:
        self._rest += data
        if self._open and self._rest and not self._waiting:
            self._waiting = True
            self._loop.add_writer(self._fd, self._ready)

    def finish(self) -> None:
        """Close the pipe once everything is written."""
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
    """Two-way communication with a running child: ``say`` writes to its standard input, ``take`` gets its report.

    Data sent before the child starts is buffered. A slow consumer calls ``hold``, and ``go_on`` to resume.
    """

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self.take = take
        self._writer: PipeWriter | None = None
        self._reader: Reader | None = None
        self._early = bytearray()

    @property
    def waiting(self) -> int:
        """Bytes that were sent and not yet written to the pipe."""
        return self._writer.waiting if self._writer else len(self._early)

    def bind(self, writer: PipeWriter, reader: Reader) -> None:
        """Attach the started child: the writer of its standard input and the reader of its report."""
        self._writer, self._reader = writer, reader
        writer.send(bytes(self._early))
        self._early.clear()

    def say(self, data: bytes) -> None:
        if self._writer is None:
            self._early += data
        else:
            self._writer.send(data)

    def finish(self) -> None:
        """Close the child's standard input after the data sent so far."""
        if self._writer is not None:
            self._writer.finish()

    def hold(self) -> None:
        if self._reader is not None:
            self._reader.hold()

    def go_on(self) -> None:
        if self._reader is not None:
            self._reader.go_on()
