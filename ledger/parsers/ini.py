"""Bounded reader for untrusted INI files (:mod:`ledger.parsers`). Pure."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from typing import Final

from ledger.parsers import UnreadableText

MOST_CHARS: Final = 256 * 1024
DEFAULTS: Final = "DEFAULT"

# The parser's regular expression takes quadratic time in consecutive spaces inside a line.
_GAP: Final = re.compile(r"\S[^\S\n]{100}")

Sections = Mapping[str, Mapping[str, str]]


def read_ini(text: str) -> Sections:
    """Sections with their values as written: no interpolation, and ``DEFAULTS`` is a section like any other.

    Raises ``UnreadableText``.
    """
    if len(text) > MOST_CHARS:
        raise UnreadableText(f"it is longer than {MOST_CHARS:,} characters")
    gap = _GAP.search(text)
    if gap is not None:
        line = text.count("\n", 0, gap.start()) + 1
        raise UnreadableText(f"line {line} has more than 100 spaces in a row")
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise UnreadableText(f"it is not a valid INI file: {str(error).splitlines()[0]}") from error
    return {name: dict(parser.items(name)) for name in parser.sections()}
