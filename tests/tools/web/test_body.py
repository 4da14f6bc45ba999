"""A body as it comes in: no more is kept, or waited for, than was asked, however it is packed."""

from __future__ import annotations

import gzip
import zlib

from tools.web.body import PACKED_MORE, Body, readable

LIMIT = 1_000


def taken(chunks: int, *data: bytes) -> tuple[Body, int]:
    """A body, and how many of ``chunks`` times ``data[-1]`` it took behind the others."""
    body = Body(encoding="gzip", limit=LIMIT)
    for one in data[:-1]:
        if not body.take(one):
            return body, 0
    return body, next((number for number in range(chunks) if not body.take(data[-1])), chunks)


def test_nothing_is_taken_behind_the_end() -> None:
    body, took = taken(1_000, gzip.compress(b"hello"), b"x" * 65_536)
    assert (body.data, body.cut, took) == (b"hello", False, 0)


def test_a_packed_stream_without_a_word_ends() -> None:
    packer = zlib.compressobj(wbits=31)
    head = packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH)
    nothing = packer.flush(zlib.Z_FULL_FLUSH) or b"\x00\x00\x00\xff\xff"
    body, took = taken(1_000_000, head, nothing * 100)
    assert body.data == b"" and body.cut and took * len(nothing) * 100 <= LIMIT + PACKED_MORE


def test_a_small_deep_text_does_not_become_a_large_one() -> None:
    deep = b"[" * 400 + b"0," * 50_000 + b"0" + b"]" * 400
    assert len(readable(deep, "application/json", "utf-8")) <= 4 * len(deep) + 1024
    assert readable(b'{"a":[1]}', "application/json", "utf-8") == '{\n "a": [\n  1\n ]\n}'
