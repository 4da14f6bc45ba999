"""Bounded reader for untrusted TOML (:mod:`ledger.parsers`). Pure."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from ledger.parsers import UnreadableText

MOST_CHARS: Final = 4 * 1024 * 1024  # lock files of large projects reach 2 MB
DEEPEST: Final = 50
MOST_PARTS: Final = 16  # of a dotted name: the parser processes every prefix of it
MOST_DIGITS: Final = 300

# What is counted, and the strings and comments in which it is not. An unterminated string extends to where the parser
# gives up. Possessive quantifiers rule out backtracking, so the scan is linear.
_TOKEN: Final = re.compile(
    r'"""[^"\\]*+(?:(?:\\.?|"(?!""))[^"\\]*+)*+(?:"""(?:""?)?)?'
    r"|'''[^']*+(?:'(?!'')[^']*+)*+(?:'''(?:''?)?)?"
    r'|"[^"\\\n]*+(?:\\.?[^"\\\n]*+)*+"?'
    r"|'[^'\n]*+'?"
    r"|\#[^\n]*+"
    r"|(?:0[box][0-9a-fA-F_]|[0-9_])[0-9a-fA-F_]*+"
    r"|[\[\]{}.,=\n]",
    re.DOTALL,
)


def read_toml(text: str, *, most_chars: int = MOST_CHARS) -> dict[str, Any]:
    """The table that a TOML text holds. Raises ``UnreadableText``, whose message names the line."""
    if len(text) > most_chars:
        raise UnreadableText(f"it is longer than {most_chars:,} characters")
    _count(text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableText(f"it is not valid TOML: {_placed(error, text)}") from error
    except (ValueError, RecursionError) as error:  # an impossible date
        raise UnreadableText(f"it is not valid TOML: {error}") from error


def _count(text: str) -> None:
    """Raises ``UnreadableText`` for nesting, dotted names and numbers beyond the limits."""
    depth = parts = 0
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token == ".":
            parts += 1
            if parts >= MOST_PARTS:
                raise _beyond(f"a name of more than {MOST_PARTS} dotted parts", text, found.start())
        elif token in "[{":
            depth, parts = depth + 1, 0
            if depth > DEEPEST:
                raise _beyond(f"brackets nested deeper than {DEEPEST}", text, found.start())
        elif token in "]}":
            depth = max(0, depth - 1)
        elif token in ",=\n":
            parts = 0
        elif len(token) > MOST_DIGITS and token[0] in "0123456789_":  # hexadecimal too: it is printed as decimal
            raise _beyond(f"a number of more than {MOST_DIGITS} digits", text, found.start())


def _beyond(what: str, text: str, place: int) -> UnreadableText:
    line = text.count("\n", 0, place) + 1
    return UnreadableText(f"it has {what} at line {line}, which no settings, lock or project file needs")


def _placed(error: tomllib.TOMLDecodeError, text: str) -> str:
    """The parser's message, with line and column in place of "at end of document"."""
    said, lines = str(error), text.rstrip("\n").splitlines() or [""]
    return said.replace("at end of document", f"at line {len(lines)}, column {len(lines[-1]) + 1}, the end of the file")
