"""Server-sent events: bytes in any pieces become the data of whole events.

Lines are cut as bytes and decoded whole, so that a character split between two pieces comes out intact. Broken UTF-8 is
an error rather than a replacement character: what streams here may be code.
"""

from __future__ import annotations

_BOM = b"\xef\xbb\xbf"


class EventParser:
    """Feed it the body as it arrives. Only ``data`` matters here: comments and the other fields are passed over."""

    def __init__(self) -> None:
        self._line: list[bytes] = []  # pieces of the line that has not ended yet
        self._data: list[str] = []
        self._after_cr = False  # a newline that comes next belongs to the line that ended already
        self._first_line = True

    def feed(self, piece: bytes) -> list[str]:
        """The data of every event that ``piece`` completes. Raises ``UnicodeDecodeError``."""
        if not piece:
            return []
        if self._after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_cr = piece.endswith(b"\r")
        events: list[str] = []
        for line in piece.splitlines(keepends=True):
            content = line.rstrip(b"\r\n")
            self._line.append(content)
            if len(content) < len(line):
                self._end_line(events)
        return events

    def close(self) -> list[str]:
        """The body has ended: an event that only lacks its closing blank line still counts."""
        events: list[str] = []
        self._end_line(events)
        self._end_event(events)
        return events

    def _end_line(self, events: list[str]) -> None:
        line = b"".join(self._line)
        self._line.clear()
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            self._end_event(events)
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" ").decode("utf-8"))

    def _end_event(self, events: list[str]) -> None:
        if self._data:
            events.append("\n".join(self._data))
            self._data.clear()
