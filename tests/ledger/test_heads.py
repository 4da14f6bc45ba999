"""Signed heads as lines: read without trust, kept in bounds, written whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.integrity.heads import KEPT, SignedHead, read_file, read_lines, with_heads, write_file
from tests.ledger.drafts import ORIGIN


def head(seq: int, own: str = "ab" * 32) -> SignedHead:
    return SignedHead(at="2026-01-02T03:04:05.678Z", genesis=ORIGIN.hash, hash=own, seq=seq, signature="a\nb\n")


def test_a_line_is_read_as_it_was_written() -> None:
    heads, odd = read_lines(head(3).line + head(9).line)
    assert heads == ((1, head(3)), (2, head(9))) and odd == ()
    assert head(3).message == b"ouro-head-1\n" + ORIGIN.hash.encode() + b"\n3\n" + b"ab" * 32 + b"\n"


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=80)
def test_whatever_lies_there_is_read_line_by_line(data: bytes) -> None:
    heads, odd = read_lines(head(1).line + data + b"\n" + head(2).line)
    assert [each.seq for _, each in heads][:1] == [1] and heads[-1][1] == head(2)
    assert len(heads) + len(odd) == 2 + sum(1 for line in data.split(b"\n") if line)


@pytest.mark.parametrize("line", [b'{"seq":1}', b"[]", b"[" * 90_000, head(1).line.replace(b'"seq":1', b'"seq":"1"'),
                                  head(1).line.replace(b'"seq":1', b'"seq":99999999999999999999'),
                                  head(1).line.replace(b'"at"', b'"at":1,"when"')])  # fmt: skip
def test_what_is_no_head_is_told(line: bytes) -> None:
    assert read_lines(line.rstrip(b"\n")) == ((), (1,))


def test_the_newest_are_kept_once_and_what_is_no_head_goes_first() -> None:
    many = b"".join(head(seq).line for seq in range(1, KEPT + 1))
    heads, odd = read_lines(with_heads(b"odd\n" + many, many, head(KEPT + 1).line))
    assert [each.seq for _, each in heads] == list(range(2, KEPT + 2)) and odd == ()
    assert read_lines(with_heads(b"odd\n", head(1).line))[1] == (1,)


def test_the_file_is_private_whole_and_no_link_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "heads"
    assert read_file(path) is None
    write_file(path, b"a\n")
    write_file(path, b"b\n")
    assert read_file(path) == b"b\n" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["heads"]
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(path)
    os.mkfifo(pipe)
    for odd in (link, pipe, tmp_path):
        with pytest.raises(OSError):
            read_file(odd)
    write_file(link, b"c\n")
    assert read_file(link) == b"c\n" and read_file(path) == b"b\n", "the link was replaced, not followed"
