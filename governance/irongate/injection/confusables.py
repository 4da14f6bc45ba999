"""Characters that deceive a reader: invisible ones, look-alikes of Latin letters, and typographic marks in code.

A compact hand-written table: only the look-alikes that Unicode Technical Standard 39 lists for letters of identifiers,
so that ordinary Greek or Russian names are allowed.
"""

from __future__ import annotations

import re
import unicodedata

BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
ZERO_WIDTH = frozenset(
    "\u00ad\u034f\u115f\u1160\u180e\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\u3164\ufeff\uffa0"
)
JOINER = "\u200d"
TAGS = range(0xE0000, 0xE0080)
PLAIN_CONTROLS = frozenset("\t\n\f")
"""Allowed control characters. A lone carriage return is not allowed: Python begins a new line there, viewers do not."""

_PAIRS = (
    ("аеорсухіјѕһԁԛԝѵ", "aeopcyxijshdqwv"),  # Cyrillic, small
    ("АВЕКМНОРСТХУІЈЅԌԚԜ", "ABEKMHOPCTXYIJSGQW"),  # Cyrillic, capital
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo"),  # Greek
    ("օսհո", "ouhn"),  # Armenian
    ("ıɡɑ", "iga"),  # Latin
    ("ᎪᏴᏟᎠᎬᏀᎻᎫᏦᏞᎷᏢᏚᎢᏙᏔᏃ", "ABCDEGHJKLMPSTVWZ"),  # Cherokee
)
LOOK_ALIKES = {char: latin for chars, latins in _PAIRS for char, latin in zip(chars, latins, strict=True)}
# Small Greek letters are common scientific symbols: they count as look-alikes only in a word with Latin letters.
MIXED_LOOK_ALIKES = {**LOOK_ALIKES, **dict(zip("αγηικνρστυχω", "aynikvpotuxw", strict=True))}
SAME_SYMBOL = frozenset("\u00b5")  # the micro sign, which Python normalises to the Greek letter
WORD = re.compile(r"[^\W\d]\w*")

ASCII_FORMS = {
    **dict.fromkeys("‘’‚‛′", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u202f\u3000", " "),
    "…": "...",
    "×": "*",
    "÷": "/",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
}


def find_invisible(text: str) -> tuple[str, int] | None:
    """The first forbidden character of a text: (description, index). Joiners inside an emoji are allowed."""
    for index, char in enumerate(text):
        if char < "\x7f" and (char >= " " or char in PLAIN_CONTROLS):
            continue
        if char in BIDI:
            return "bidi control", index
        if (char in ZERO_WIDTH or ord(char) in TAGS) and not _is_in_emoji(text, index):
            return "zero-width character", index
        if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") and char not in PLAIN_CONTROLS:
            return "control character", index
    return None


def _is_in_emoji(text: str, index: int) -> bool:
    around = text[index - 1 : index] + text[index + 1 : index + 2]
    return text[index] == JOINER and len(around) == 2 and all(_is_pictogram(char) for char in around)


def _is_pictogram(char: str) -> bool:
    return char == "\ufe0f" or unicodedata.category(char) in ("So", "Sk")


def why_deceptive(word: str) -> str | None:
    """Why an identifier deceives, or None. Each part between underscores and digits is checked."""
    if word.isascii():
        return None
    plain = unicodedata.normalize("NFC", word)
    if unicodedata.normalize("NFKC", plain) != plain and not SAME_SYMBOL.intersection(word):
        return "it has compatibility characters that Python reads as other letters"
    for part in re.split(r"[_\d]+", plain):
        if not part or part.isascii():
            continue
        latin = any(char.isascii() for char in part)
        if latin and any(char in MIXED_LOOK_ALIKES for char in part):
            return "it mixes Latin letters with look-alikes"
        if all(char in LOOK_ALIKES for char in part):
            return "all its letters look like Latin ones but are not"
    return None
