"""Reading a text as a model would, whatever it is dressed in: other letters, invisible ones, codes. Pure."""

from __future__ import annotations

import base64
import binascii
import html
import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from governance.irongate.injection.confusables import LOOK_ALIKES, ZERO_WIDTH

TAG_BASE = 0xE0000
HIDDEN = re.compile("[\U000e0001\U000e0020-\U000e007f]{4,}")
FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")
"""Flags of regions (as Scotland's) are spelt with tag characters too."""
BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]{16,}){0,400}={0,2}")
HEX = re.compile(r"(?:[0-9a-fA-F]{2}){20,}")
SPACED = re.compile(r"(?<!\w)(?:[^\W_][ .\-*]{1,3}){12,400}[^\W_](?!\w)")
ESCAPED = re.compile(r"\\(?:([nrt\"'/])|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2}))")
"""Escapes in the strings of programs and JSON."""
MOST_CODES = 200  # pieces of one text that are decoded
DEEPEST = 2


@dataclass(frozen=True, slots=True)
class Folded:
    """``text``: folded to plain small letters; ``places``: their indexes in the original (None: the same)."""

    text: str
    places: tuple[int, ...] | None = None

    def origin(self, index: int) -> int:
        """The index in the original of the character at ``index``."""
        if self.places is None or not self.places:
            return index
        return self.places[min(index, len(self.places) - 1)]


@lru_cache(maxsize=8192)
def _plain(char: str) -> str:
    """What a character reads as: nothing for invisible ones and marks, the Latin letter for a look-alike."""
    if char in ZERO_WIDTH or unicodedata.category(char) in ("Cf", "Mn", "Mc"):
        return ""
    parts = unicodedata.normalize("NFKD", LOOK_ALIKES.get(char, char)).lower()
    return "".join(LOOK_ALIKES.get(c, c) for c in parts if unicodedata.category(c) not in ("Cf", "Mn", "Mc"))


def fold(text: str) -> Folded:
    """``text`` without accents, look-alikes, compatibility forms and what cannot be seen, in small letters."""
    if text.isascii():
        return Folded(text.lower())
    letters: list[str] = []
    places: list[int] = []
    for index, char in enumerate(text):
        plain = char.lower() if char < "\x80" else _plain(char)
        letters.append(plain)
        places += [index] * len(plain)
    return Folded("".join(letters), tuple(places))


def find_hidden(text: str) -> Iterator[tuple[int, str]]:
    """Runs of tag characters with what they spell. A flag is none."""
    flags = [range(*m.span()) for m in FLAG.finditer(text)]
    for run in HIDDEN.finditer(text):
        if not any(run.start() in flag for flag in flags):
            letters = (ord(char) - TAG_BASE for char in run[0])
            yield run.start(), "".join(chr(code) for code in letters if 0x20 <= code < 0x7F)


def decode_wrapped(text: str, depth: int = 0) -> Iterator[tuple[int, str]]:
    """Encoded texts within ``text``, decoded, with places (base64, hex, escapes, entities, percents, spaced)."""
    for start, inner in _decoded(text):
        yield start, inner
        if depth + 1 < DEEPEST:
            yield from ((start, deeper) for _, deeper in decode_wrapped(inner, depth + 1))


def _decoded(text: str) -> Iterator[tuple[int, str]]:
    left = MOST_CODES
    for pattern, read in ((BASE64, _from_base64), (HEX, _from_hex)):
        for match in pattern.finditer(text):
            if not left:
                return
            left -= 1
            inner = read(match[0])
            if inner:
                yield match.start(), inner
    for spaced in SPACED.finditer(text):
        words = re.split(r"[ .\-*]{2,3}", spaced[0])
        yield spaced.start(), " ".join(re.sub(r"[ .\-*]", "", word) for word in words)
    escaped = ESCAPED.search(text)
    if escaped is not None:
        yield escaped.start(), _unescaped(text)
    if "&#" in text:
        yield text.index("&#"), html.unescape(text)
    if text.count("%") > 1:
        yield text.index("%"), unquote(text, errors="replace")


def _unescaped(text: str) -> str:
    """The strings in ``text`` with their escapes decoded. Surrogate halves, as JSON writes them, are joined."""

    def read(match: re.Match[str]) -> str:
        plain, *codes = match.groups()
        if plain:
            return {"n": "\n", "r": "\r", "t": "\t"}.get(plain, plain)
        code = int(next(code for code in codes if code), 16)
        return chr(code) if code <= sys.maxunicode else ""

    return ESCAPED.sub(read, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _from_base64(code: str) -> str:
    flat = code.replace("\r", "").replace("\n", "").rstrip("=").replace("-", "+").replace("_", "/")
    starts = (0, 1) if code[0] in "+-" else (0,)  # the sign before it may be a change's, and none of its own
    return next((text for start in starts if (text := _read_base64(flat[start:]))), "")


def _read_base64(flat: str) -> str:
    flat = flat[: len(flat) - (len(flat) % 4 == 1)]
    try:
        return _if_text(base64.b64decode(flat + "=" * (-len(flat) % 4), validate=True))
    except (ValueError, binascii.Error):
        return ""


def _from_hex(code: str) -> str:
    return _if_text(bytes.fromhex(code))


def _if_text(data: bytes) -> str:
    """Bytes as text when they are such; empty for anything else."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    printable = sum(char.isprintable() or char in "\t\r\n" for char in text)
    return text if text and printable >= 0.95 * len(text) and " " in text else ""
