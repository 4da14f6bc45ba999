"""Names of code in documentation pages, found only where nothing but code can be meant. Pure.

Pages of history (changes, releases, migrations) name removed code on purpose, as do lines that mention the removal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from ledger.vocabulary import ClosureAnswer, PageWithout

HISTORY = re.compile(
    r"change|history|histories|news|release|migrat|upgrad|updating|deprecat|whats?.?new|adr|blog|archive|roadmap|todo",
    re.I,
)
SAID_SO = re.compile(
    r"\b(?:remov|renam|deprecat|former|previous|obsolete|replac|legacy|instead|no longer|used to|was called|drop|old)",
    re.I,
)
HEADING = re.compile(r"^#{1,6}\s+(.*)$")
VERSION = re.compile(
    r"^v?\d+\.\d+|\bversion \d|\b(?:changes|changelog|history|release notes|migration|upgrading)\b", re.I
)
FENCE = re.compile(r"^\s*(?:```|~~~)")
INLINE = re.compile(r"`+([^`\n]+)`+")
SUFFIXES: Final = (".md", ".rst")


def is_page(path: str) -> bool:
    """True for a README and files below a folder of documents, except changelogs."""
    pure = PurePosixPath(path)
    if pure.suffix.lower() not in SUFFIXES or HISTORY.search(path):
        return False
    return pure.stem.lower().startswith("readme") or any(part in ("docs", "doc") for part in pure.parts[:-1])


def naming(text: str, name: str) -> tuple[int, ...]:
    """Lines that name a thing of the code: its name alone or called, in backticks; called or imported, in a block."""
    word = re.escape(name)
    alone = re.compile(rf"^(?:[\w.]+\.)?{word}(?:\(.*\))?$")
    used = re.compile(rf"(?<![\w/-]){word}\(|\bimport\b.*(?<![\w.]){word}(?!\w)")
    return tuple(
        number
        for number, line, code in _lines(text)
        if (code and used.search(line)) or any(alone.match(m[1].strip()) for m in INLINE.finditer(line))
    )


def calling(text: str, name: str, parameter: str) -> tuple[int, ...]:
    """Lines in which a call of ``name`` begins that gives a parameter by its name."""
    call = re.compile(rf"(?<!\w){re.escape(name)}\(((?:[^()]|\([^()]*\))*)\)")
    given = re.compile(rf"(?<!\w){re.escape(parameter)}\s*=(?!=)")
    kept = {number for number, _, _ in _lines(text)}
    lines = (text.count("\n", 0, m.start()) + 1 for m in call.finditer(text) if given.search(m[1]))
    return tuple(number for number in lines if number in kept)


def _lines(text: str) -> Iterator[tuple[int, str, bool]]:
    """Each line about the present state, with its number, and whether it is in a block of code."""
    fenced, history = False, False
    for number, line in enumerate(text.splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
            continue
        heading = None if fenced else HEADING.match(line)
        if heading:
            history = VERSION.search(heading[1]) is not None
        if not history and not SAID_SO.search(line):
            yield number, line, fenced or line.startswith(("    ", "\t", ">>> "))


def find_lines(check: PageWithout, text: str) -> tuple[int, ...]:
    """The lines of a page that a check is about."""
    return calling(text, check.name, check.parameter) if check.parameter else naming(text, check.name)


def page_answer(check: PageWithout, data: bytes | None) -> ClosureAnswer:
    """Closed when no line of the page names it."""
    if data is None:
        return ClosureAnswer(closed=False, gone=True, reason=f"there is no {check.path} any more")
    what = f"{check.name}({check.parameter}=...)" if check.parameter else check.name
    lines = find_lines(check, data.decode("utf-8", errors="replace"))
    if lines:
        return ClosureAnswer(closed=False, reason=f"{check.path}:{lines[0]} still names {what}")
    return ClosureAnswer(closed=True, reason=f"{check.path} does not name {what} any more")
