"""Splits a stream of bytes into messages: one per line, of limited length."""

from __future__ import annotations

HIGH = 256 * 1024  # from here on reading pauses until lines are taken


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
