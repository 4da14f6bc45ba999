"""Text with roles: lines of spans that become plain text or, on a terminal, colours. No library needed.

What comes from outside (goals, test output, file names) passes :func:`clean`, so that it cannot drive the terminal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a piece of text means; the colour follows from it."""

    PLAIN = "plain"
    HEAD = "head"
    DIM = "dim"
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    ADDED = "added"
    REMOVED = "removed"


_CODES = {
    Role.HEAD: "1",
    Role.DIM: "2",
    Role.GOOD: "32",
    Role.BAD: "31",
    Role.WARN: "33",
    Role.ADDED: "32",
    Role.REMOVED: "31",
}
_DRIVING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Span:
    text: str
    role: Role = Role.PLAIN


Line = tuple[Span, ...]
Block = tuple[Line, ...]


def clean(text: str) -> str:
    """One line without control characters, terminal escapes or invisible direction marks; tabs become blanks."""
    text = _ESCAPES.sub("", text).replace("\t", "    ").replace("\r", "").replace("\n", " ")
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))


def json_text(text: str) -> str:
    """JSON with the same value, that a terminal shows as it is: what would drive one, or turn the direction of reading,
    is escaped. Outside of its strings JSON has no such character but the end of a line."""
    if text.isascii() and "\x7f" not in text:
        return text  # JSON escapes the rest itself
    return "".join(c if c == "\n" or unicodedata.category(c) not in _DRIVING else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    pairs = char.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{pairs[at : at + 2].hex()}" for at in range(0, len(pairs), 2))


def line(*parts: str | Span) -> Line:
    """A line; plain strings are cleaned spans."""
    return tuple(Span(clean(p)) if isinstance(p, str) else Span(clean(p.text), p.role) for p in parts)


def show(block: Iterable[Line], *, colour: bool) -> str:
    """The block as text, without a final newline."""
    return "\n".join(_shown(one, colour) for one in block)


def _shown(one: Line, colour: bool) -> str:
    if not colour:
        return "".join(span.text for span in one).rstrip()
    return "".join(
        f"\x1b[{_CODES[span.role]}m{span.text}\x1b[0m" if span.role in _CODES and span.text else span.text
        for span in one
    )


def money(usd_micro: int) -> str:
    """Micro-dollars as dollars; four digits where two would show nothing."""
    dollars = usd_micro / 1_000_000
    return f"${dollars:.2f}" if usd_micro == 0 or usd_micro >= 10_000 else f"${dollars:.4f}"


def duration(millis: int) -> str:
    """A length of time in readable units."""
    if millis < 1_000:
        return f"{millis} ms"
    if millis < 60_000:
        return f"{millis / 1000:.1f} s"
    minutes, seconds = divmod(round(millis / 1000), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 test``, ``2 tests``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
