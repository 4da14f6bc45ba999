"""What the text of a Python file may hide from who reads its syntax: encodings, control characters, directives."""

from __future__ import annotations

import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator

from governance.irongate.lines import added_lines, as_text

COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
PLAIN_CODINGS = frozenset({"utf-8", "utf8", "ascii", "us-ascii"})
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
DIRECTIVE = re.compile(
    r"#\s*(?:distutils|cython)\s*:|(?:^|\s)(?:vi|vim|ex):\s*\S|-\*-.*(?:eval|mode)|Local Variables:|^#!|"
    r"#\s*///\s*script|#\s*doctest:\s*\+SKIP"
)
WIDER = frozenset({"latin-1", "latin1", "iso-8859-1", "iso-8859-15", "cp1252"})
"""Encodings in which what is ASCII stays what it is."""
LONGEST_LINE, LONGEST_READ = 400, 1000


def find_problems(before: bytes, after: bytes) -> Iterator[str]:
    """What is wrong with the text of a changed file, a phrase each."""
    try:
        after.decode("utf-8" if _coding(after) not in WIDER else "latin-1")
    except UnicodeDecodeError:
        yield "the file is not UTF-8"
    coding = _coding(after)
    stays = (
        coding in WIDER
        and coding == _coding(before)
        and all(line.text.isascii() for line in added_lines(before, after))
    )
    if coding not in PLAIN_CODINGS and not stays:
        yield f"the file declares the encoding {coding}"
    if after.startswith(b"\xef\xbb\xbf") and not before.startswith(b"\xef\xbb\xbf"):
        yield "a byte order mark is new"
    for line in added_lines(before, after):
        if CONTROL.search(line.text):
            yield f"line {line.number} holds a control character"
        elif len(line.text) > LONGEST_READ:
            yield f"line {line.number} is longer than {LONGEST_READ} characters"
        elif DIRECTIVE.search(line.text) or SPOKEN.search(line.text):
            yield f"line {line.number} speaks to an editor, a shell or a compiler"
        elif len(line.text) > LONGEST_LINE and len(line.text) > max(map(len, as_text(before).split("\n"))):
            yield f"line {line.number} is longer than {LONGEST_LINE} characters"


def commented(before: bytes, after: bytes) -> Iterator[str]:
    """New comments of a changed file. No test judges them, and who reads them takes them for the owner's words."""
    try:
        fresh = _comments(after) - _comments(before)
    except (SyntaxError, ValueError, tokenize.TokenError):
        yield "its comments cannot be read"
        return
    yield from (f"it comments {text[:60]}" for text in fresh)


def _comments(data: bytes) -> Counter[str]:
    tokens = tokenize.tokenize(io.BytesIO(data).readline)
    return Counter(token.string.strip() for token in tokens if token.type == tokenize.COMMENT)


def _coding(data: bytes) -> str:
    """The encoding that a file declares; UTF-8 where it declares none."""
    found = next(filter(None, map(COOKIE.match, data.split(b"\n")[:2])), None)
    return found[1].decode("ascii", "replace").lower().replace("_", "-") if found else "utf-8"


PUNCTUATION = re.compile(r"[:()\[\]{},]{0,2}")


def only_punctuation(before: bytes, after: bytes) -> bool:
    """Whether the two texts are the same but for a bracket, colon or comma, or two, in one place."""
    old, new = as_text(before), as_text(after)
    most = min(len(old), len(new))
    start = next((at for at in range(most) if old[at] != new[at]), most)
    end = next((at for at in range(most - start) if old[-1 - at] != new[-1 - at]), most - start)
    gone, come = old[start : len(old) - end], new[start : len(new) - end]
    return bool(PUNCTUATION.fullmatch(gone) and PUNCTUATION.fullmatch(come)) and not (gone and come)


SPOKEN = re.compile(
    r"#\s*(?:type|noqa|nosec|pragma|pylint|mypy|ruff|flake8|fmt|isort|yapf|pyright|pytype|codeql|sonar|NOSONAR|bandit)\b"
    r"|\[\[\[|\]\]\]|#\s*[!%]|^\s*!",
    re.I,
)
"""Comments that tools act on."""
