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
    """Feeds ``data`` into a pipe as it fits, then closes it; owns the descriptor."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, data: bytes) -> None:
        os.set_blocking(fd, False)
        self._loop, self._fd, self._rest = loop, fd, memoryview(data)
        self._open = True
        loop.add_writer(fd, self._ready)

    def _ready(self) -> None:
        try:
            written = os.write(self._fd, self._rest[:CHUNK])
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.close()
            return
        self._rest = self._rest[written:]
        if not self._rest:
            self.close()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
