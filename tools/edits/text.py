"""Decoded text of a file with what an edit must preserve: encoding, byte order mark, and each line's ending."""

from __future__ import annotations

import codecs
import io
import tokenize
from dataclasses import dataclass, replace

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """Text of a line and its ending (``\\n``, ``\\r\\n``, or nothing on a last line)."""

    body: str
    end: str


@dataclass(frozen=True, slots=True)
class FileText:
    """A decoded file."""

    lines: tuple[Line, ...]
    encoding: str = "utf-8"
    bom: bytes = b""

    @property
    def bodies(self) -> tuple[str, ...]:
        return tuple(line.body for line in self.lines)

    @property
    def newline(self) -> str:
        """The most frequent line ending."""
        crlf = sum(line.end == "\r\n" for line in self.lines)
        return "\r\n" if crlf * 2 > sum(bool(line.end) for line in self.lines) else "\n"

    def with_lines(self, lines: tuple[Line, ...]) -> FileText:
        return replace(self, lines=lines)

    def encode(self) -> bytes | None:
        """The file's bytes; None if a character does not exist in its encoding."""
        text = "".join(line.body + line.end for line in self.lines)
        try:
            return self.bom + text.encode(self.encoding)
        except UnicodeEncodeError:
            return None


def split_lines(text: str) -> tuple[Line, ...]:
    """Lines of ``text``; only ``\\n`` and ``\\r\\n`` end a line."""
    lines = []
    for piece in text.split("\n"):
        if piece.endswith("\r"):
            lines.append(Line(piece[:-1], "\r\n"))
        else:
            lines.append(Line(piece, "\n"))
    last = text.rpartition("\n")[2]
    lines.pop()
    if last:
        lines.append(Line(last, ""))
    return tuple(lines)


def decode(data: bytes, path: str) -> FileText | None:
    """Text of a file; None when it is binary. The encoding declaration of a Python file is respected."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            try:
                return FileText(split_lines(data[len(mark) :].decode(encoding)), encoding, mark)
            except UnicodeDecodeError:
                return None
    if b"\0" in data:
        return None
    for encoding in _encodings(data, path):
        try:
            return FileText(split_lines(data.decode(encoding)), encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return None


def _encodings(data: bytes, path: str) -> tuple[str, ...]:
    """Encodings to try, in order. latin-1 decodes anything and encodes to the same bytes."""
    if path.endswith((".py", ".pyi")):
        try:
            stated, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        except SyntaxError:
            return ("utf-8", "latin-1")
        return (stated, "latin-1")
    return ("utf-8", "latin-1")
