"""Markers in the comments of Python files: TODO, FIXME, HACK, and what they ask for. Pure."""

from __future__ import annotations

import io
import re
import tokenize

from ledger.ids import sha256_hex
from ledger.vocabulary import ClosureAnswer, Frozen, MarkerAbsent

MARKER = re.compile(r"#+:?\s*(TODO|FIXME|HACK)\b(?:\s*[(\[][^)\]]*[)\]])?\s*[:\-]*\s*(.*)")
PLAIN = re.compile(r"#+:?\s*(.*)")
WORD = re.compile(r"[^\W\d_]{2,}")


class Marker(Frozen):
    """One marker. ``text`` is what follows it, with the comment lines right below it."""

    word: str
    text: str
    line: int  # of the marker, from 1
    digest: str

    @property
    def words(self) -> int:
        """How many words of letters the text has."""
        return len(WORD.findall(self.text))


def digest_of(text: str) -> str:
    """Of a marker's text; upper and lower case, blank space and a full stop are the same."""
    return sha256_hex(" ".join(_whole(text).casefold().split()).rstrip(" ."))


def _whole(text: str) -> str:
    """``text`` without halves of characters, which odd encodings can bring and UTF-8 cannot."""
    return text.encode("utf-8", errors="replace").decode("utf-8").strip()


def comments(data: bytes) -> list[tokenize.TokenInfo] | None:
    """The comments of a Python file; None where it cannot be read as one."""
    try:
        return [token for token in tokenize.tokenize(io.BytesIO(data).readline) if token.type == tokenize.COMMENT]
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None


def _alone(token: tokenize.TokenInfo) -> bool:
    return token.line[: token.start[1]].strip() == ""


def _goes_on(token: tokenize.TokenInfo, before: tokenize.TokenInfo) -> bool:
    """Whether a comment is the next line of the one before: right below it, in its column, with nothing else there."""
    below = token.start == (before.start[0] + 1, before.start[1])
    return below and _alone(token) and _alone(before) and MARKER.match(token.string) is None


def markers(data: bytes) -> tuple[Marker, ...]:
    """Every marker of a Python file, in order; none where it cannot be read as one."""
    found: list[Marker] = []
    last: tokenize.TokenInfo | None = None  # the line that the marker before may go on behind
    for token in comments(data) or []:
        matched = MARKER.match(token.string)
        if matched is not None:
            text = _whole(matched[2])
            found.append(Marker(word=matched[1], text=text, line=token.start[0], digest=digest_of(text)))
            last = token
        elif last is not None and _goes_on(token, last):
            more = PLAIN.match(token.string)
            text = f"{found[-1].text} {_whole(more[1]) if more else ''}".strip()
            found[-1] = found[-1].model_copy(update={"text": text})
            last = token
        else:
            last = None
    return tuple(found)


def marker_answer(check: MarkerAbsent, data: bytes | None) -> ClosureAnswer:
    """Closed when no comment has the marker's text, and no marker is new beside the earlier ones."""
    if data is None:
        return ClosureAnswer(closed=True, reason=f"there is no {check.path} any more")
    found = comments(data)
    if found is None:
        return ClosureAnswer(closed=False, reason=f"{check.path} cannot be read as Python")
    for token in found:
        marked, plain = MARKER.match(token.string), PLAIN.match(token.string)
        if marked is not None and digest_of(marked[2]) == check.digest:
            return ClosureAnswer(closed=False, reason=f"the {marked[1]} still stands at {check.path}:{token.start[0]}")
        if plain is not None and digest_of(plain[1]) == check.digest:
            reason = f"{check.path}:{token.start[0]} says the same without its marker"
            return ClosureAnswer(closed=False, reason=reason)
    known = {check.digest, *check.others}
    new = next((marker for marker in markers(data) if marker.digest not in known), None)
    if new is not None:
        reason = f"{check.path}:{new.line} has a {new.word} that was not there before"
        return ClosureAnswer(closed=False, reason=reason)
    return ClosureAnswer(closed=True, reason=f"the marker is gone from {check.path}")
