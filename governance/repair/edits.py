"""From a new text of a file to an Edit, with the file's own newlines and byte order mark."""

from __future__ import annotations

from ledger.ids import sha256_hex
from ledger.vocabulary import Edit, EditKind

BOM = b"\xef\xbb\xbf"


def decode(data: bytes) -> str | None:
    """Text with ``\\n`` newlines; None when it is not UTF-8 or mixes newlines (then infilling could change others)."""
    try:
        text = data.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError:
        return None
    unix = text.replace("\r\n", "\n")
    if "\r" in unix or (unix.count("\n") != text.count("\r\n") and "\r\n" in text):
        return None
    return unix


def encode(text: str, like: bytes) -> bytes:
    """``text`` as bytes in the manner of ``like``."""
    if b"\r\n" in like:
        text = text.replace("\n", "\r\n")
    return (BOM if like.startswith(BOM) else b"") + text.encode("utf-8")


def edit_of(original: bytes, path: str, text: str, rationale: str, *, mode: int) -> Edit:
    """The modification that makes ``path``, which holds ``original``, read ``text``."""
    return Edit(
        path=path,
        kind=EditKind.MODIFY,
        before=sha256_hex(original),
        after=encode(text, original),
        mode=mode,
        rationale=rationale,
    )
