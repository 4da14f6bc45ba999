"""Response bodies: decompression with a size limit (a small body may expand without end), and conversion to text."""

from __future__ import annotations

import codecs
import json
import re
import zlib

from ledger.errors import ToolError
from ledger.parsers.json import read_json
from tools.web.page import text_of

GZIP = 31  # window bits of zlib that mean gzip
PACKED_MORE = 64 * 1024  # bytes that compression may add to incompressible data
LONGEST_JSON = 4  # times its size: deep JSON could grow to hundreds of megabytes when indented
TEXTS = (
    "text/html",
    "application/xhtml+xml",
    "text/plain",
    "text/markdown",
    "application/json",
    "text/xml",
    "application/xml",
)
CHARSETS = re.compile(
    r"utf-?8|utf-?16(?:le|be)?|us-ascii|ascii|iso-?8859-?\d{1,2}|latin-?1|windows-125\d|cp125\d|koi8-[ru]|gb2312|gbk|gb18030|"
    r"big5|euc-(?:jp|kr)|shift_jis"
)


class Body:
    """Collects chunks up to ``limit`` decompressed bytes; ``cut``: there was more. Raises ``ToolError``."""

    def __init__(self, *, encoding: str, limit: int) -> None:
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise ToolError(f"The page is packed as {encoding[:40]!r}, which nobody asked for.")
        self._inflate = zlib.decompressobj(GZIP) if "gzip" in encoding else None
        self._left = limit
        self._packed = limit + PACKED_MORE
        self._parts: list[bytes] = []
        self.cut = False

    def take(self, chunk: bytes) -> bool:
        """Keep what fits; False when the limit is reached or the compressed stream has ended.

        Compressed bytes are limited too: a stream may be endless without producing output, or continue after its end.
        """
        self._packed -= len(chunk)
        try:
            data = self._inflate.decompress(chunk, self._left + 1) if self._inflate else chunk
        except zlib.error as error:
            raise ToolError(f"The page is not packed as it says: {error}.") from error
        self.cut = len(data) > self._left
        self._parts.append(data[: self._left])
        self._left -= len(self._parts[-1])
        if self._inflate is not None and self._inflate.eof:
            return False
        self.cut = self.cut or self._packed < 0
        return not self.cut

    @property
    def data(self) -> bytes:
        return b"".join(self._parts)


def kind_of(content_type: str) -> tuple[str, str]:
    """Media type and charset of a Content-Type header. Raises ``ToolError`` for a type that is not text."""
    kind, *options = (part.strip().lower() for part in content_type.split(";"))
    if kind not in TEXTS and not re.fullmatch(r"application/[a-z0-9.-]{1,80}\+(?:json|xml)", kind):
        raise ToolError(f"What is there is {kind[:80] or 'of no stated type'}; only text, HTML, JSON and XML are read.")
    charset = next((o.partition("=")[2].strip("\"' ") for o in options if o.startswith("charset=")), "utf-8")
    return kind, charset if CHARSETS.fullmatch(charset) and _known(charset) else "utf-8"


def _known(charset: str) -> bool:
    try:
        codecs.lookup(charset)
    except LookupError:
        return False
    return True


def readable(data: bytes, kind: str, charset: str) -> str:
    """The body as text: HTML without markup, JSON indented. No I/O, but slow for a large page."""
    text = data.decode(charset, errors="replace").removeprefix("\ufeff")
    if "html" in kind:
        return text_of(text)
    if kind.endswith("json"):
        try:
            return _indented(read_json(text), LONGEST_JSON * len(text) + 1024) or text
        except ValueError:
            return text
    return text


def _indented(value: object, most: int) -> str:
    """Indented JSON; empty when it would have more than ``most`` characters."""
    parts: list[str] = []
    for part in json.JSONEncoder(indent=1, ensure_ascii=False).iterencode(value):
        most -= len(part)
        if most < 0:
            return ""
        parts.append(part)
    return "".join(parts)
