"""Recognises complete PNG and JPEG files and reads width and height from their headers, without decoding. Pure."""

from __future__ import annotations

import struct

from ledger.vocabulary import Frozen

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
TRAILING = 1024  # bytes at the end of a JPEG in which its end marker is searched: programs append data
ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers whose segment has width and height
DATA = 0xDA  # marker of the compressed data


class UnreadablePicture(ValueError):
    """The data is not a complete PNG or JPEG. ``partial``: the file may still be in the course of being written."""

    def __init__(self, why: str, *, partial: bool = False) -> None:
        super().__init__(why)
        self.partial = partial


class Picture(Frozen):
    kind: str
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


def read_picture(data: bytes) -> Picture:
    """Kind and size of a picture. Raises `UnreadablePicture`."""
    if not data:
        raise UnreadablePicture("it is empty", partial=True)
    if data.startswith(PNG):
        return _png(data)
    if data.startswith(JPEG):
        return _jpeg(data)
    raise UnreadablePicture("it is neither PNG nor JPEG")


def _png(data: bytes) -> Picture:
    at, size = len(PNG), (0, 0)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if at == len(PNG):
            if kind != b"IHDR" or length != 13 or len(data) < at + 16:
                raise UnreadablePicture("it is a broken PNG")
            size = struct.unpack_from(">II", data, at + 8)
        if kind == b"IEND":
            return _checked_picture("png", *size)
        at += 12 + length
    raise UnreadablePicture("it is not complete", partial=True)


def _jpeg(data: bytes) -> Picture:
    if b"\xff\xd9" not in data[-TRAILING:]:
        raise UnreadablePicture("it is not complete", partial=True)
    at = len(JPEG)
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF or marker in ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in FRAMES and at + 9 <= len(data):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return _checked_picture("jpeg", width, height)
        if marker == DATA or length < 2:
            break
        at += 2 + length
    raise UnreadablePicture("it is a broken JPEG")


def _checked_picture(kind: str, width: int, height: int) -> Picture:
    if width == 0 or height == 0:
        raise UnreadablePicture(f"it is a broken {kind.upper()}")
    return Picture(kind=kind, width=width, height=height)
