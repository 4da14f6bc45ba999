"""Words of a shell command: what is written, and what it says when that is known before the command runs."""

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
    """The command, or a part of it, is not understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Word:
    """``text`` is what the program is given; None where only the run itself can tell (variables, patterns).

    ``braced``: braces make several words of it, of which any may be an option.
    """

    raw: str
    text: str | None
    braced: bool = False

    def __bool__(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        """As it would be written: quoted where it is known, as it stands where it is not."""
        return self.raw if self.text is None else shlex.quote(self.text)


def known(text: str) -> Word:
    """A word that says what it says."""
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
    """A part of a word. ``bare`` is what of it stands outside of quotes, where patterns and braces count."""

    text: str | None
    bare: str


def bare(raw: str) -> Piece:
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


def single_quoted(raw: str) -> Piece:
    """``'...'``."""
    if len(raw) < 2 or raw[0] != "'" or raw[-1] != "'" or "'" in raw[1:-1]:
        raise Unreadable("single quotes do not pair")
    return Piece(raw[1:-1], "")


def double_quoted(raw: str) -> Piece:
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


def joined(raw: str, pieces: list[Piece]) -> Word:
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
