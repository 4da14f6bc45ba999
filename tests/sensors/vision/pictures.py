"""Pictures: real ones of a screen, and small whole ones that carry their text where a plain program finds it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

FRAMES = Path(__file__).parent / "frames"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(text: str = "", *, width: int = 1, height: int = 1, body: bytes = b"\0\0") -> bytes:
    """A PNG; ``text`` stands in it as a comment, on lines of its own."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    said = chunk(b"tEXt", b"Comment\0\n" + text.encode("latin-1") + b"\n")
    return b"\x89PNG\r\n\x1a\n" + head + said + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def jpeg(*, width: int = 2, height: int = 3, before: bytes = b"") -> bytes:
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + before + frame + b"\xff\xda\x00\x02data\xff\xd9"


PRINTED = "#!/bin/sh\n# Reads a picture and says what text is in it.\ntr -cd '\\11\\12\\15\\40-\\176'\n"
"""A program that is called as tesseract is, and finds the text of :func:`png`."""
