"""Words of a shell command: their source text, and their value where that is known before the command runs."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

_PLAIN = re.compile(r"[A-Za-z0-9_./:=@%+,^-]+")
_MARKS = frozenset("$`'\"();&|<> \t\n")
_GLOB = frozenset("*?[")
_SEVERAL = re.compile(r"\{.*,|\{[^{}]*\.\.", re.DOTALL)
_IN_DOUBLE = frozenset('"$`\\')
ANSI = re.compile(r"\$'(?:[^'\\]|\\.)*'", re.DOTALL)


class Unreadable(Exception):
    """The command, or a part of it, is not understood; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Word:
    """``text``: the value that the program gets; None where it is unknown before the run (variables, patterns).

    ``braced``: braces make several words of it, of which any may be an option.
    """

    raw: str
    text: str | None
    braced: bool = False

    def __bool__(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        """For display: quoted where the value is known, else the source text."""
        return self.raw if self.text is None else shlex.quote(self.text)


def literal_word(text: str) -> Word:
    """A word whose value is its source text."""
    return Word(text, text)


@dataclass(frozen=True, slots=True)
class Redirect:
    """``op`` is one of bash's operators; ``target`` a file or a descriptor's number."""

    op: str
    target: Word


@dataclass(frozen=True, slots=True)
class Segment:
    """One simple command: assignments before it, its words, its redirections. Each of them may be missing."""

    words: tuple[Word, ...] = ()
    assigned: tuple[tuple[str, Word], ...] = ()
    redirects: tuple[Redirect, ...] = ()

    @property
    def shown(self) -> str:
        return " ".join(word.shown for word in self.words)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a word. ``bare``: its characters outside of quotes, where patterns and braces count."""

    text: str | None
    bare: str


def read_unquoted(raw: str) -> Piece:
    """A part without quotes. Raises ``Unreadable`` for what bash would not read as one."""
    if _PLAIN.fullmatch(raw):
        return Piece(raw, raw)
    said: list[str] = []
    outside: list[str] = []
    chars = iter(raw)
    for char in chars:
        if char == "\\":
            following = next(chars, None)
            if following is None:
                raise Unreadable("a backslash stands at the end of a word")
            if following != "\n":  # a continued line
                said.append(following)
        elif char in _MARKS:
            raise Unreadable(f"{char!r} stands inside of a word")
        else:
            said.append(char)
            outside.append(char)
    return Piece("".join(said), "".join(outside))


def read_single_quoted(raw: str) -> Piece:
    """``'...'``."""
    if len(raw) < 2 or raw[0] != "'" or raw[-1] != "'" or "'" in raw[1:-1]:
        raise Unreadable("single quotes do not pair")
    return Piece(raw[1:-1], "")


def read_double_quoted(raw: str) -> Piece:
    """``"..."`` without anything to expand in it."""
    if len(raw) < 2 or raw[0] != '"' or raw[-1] != '"':
        raise Unreadable("double quotes do not pair")
    if "\\" not in raw and "$" not in raw and "`" not in raw and '"' not in raw[1:-1]:
        return Piece(raw[1:-1], "")
    said: list[str] = []
    at, end = 1, len(raw) - 1
    while at < end:
        char = raw[at]
        if char == "\\" and at + 1 < len(raw):
            if at + 1 == end:
                raise Unreadable("double quotes do not pair")
            following = raw[at + 1]
            said.append(following if following in _IN_DOUBLE else "" if following == "\n" else char + following)
            at += 2
            continue
        if char in '"`':
            raise Unreadable("double quotes do not pair")
        said.append(char)
        at += 1
    return Piece("".join(said), "")


def join_pieces(raw: str, pieces: list[Piece]) -> Word:
    """The word that these parts make."""
    outside = "".join(piece.bare for piece in pieces)
    if pieces and pieces[0].bare.startswith("#"):
        raise Unreadable("a word begins with '#'")
    braced = _SEVERAL.search(outside) is not None
    patterned = braced or not _GLOB.isdisjoint(outside)
    texts = [piece.text for piece in pieces]
    if raw.startswith("~") or "=~" in outside or ":~" in outside:
        patterned = True  # somebody's home
    if patterned or None in texts:
        return Word(raw, None, braced)
    return Word(raw, "".join(text for text in texts if text is not None))
