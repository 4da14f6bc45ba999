"""Keys and passwords in a text, and how they are blotted out.

A table of own shapes; what keywords, addresses and headers give away; and the detector of another project beside both.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from governance.irongate.secrets.detector import run_detector
from governance.irongate.secrets.patterns import (
    KEY_END,
    KEY_GAP,
    KEY_HEAD,
    KEY_ROW,
    KEY_TAIL,
    PUTTY_END,
    PUTTY_HEAD,
    PUTTY_ROWS,
    SHAPES,
    compiled,
)
from governance.irongate.secrets.plain_words import find_plain_passwords
from governance.irongate.secrets.values import find_beside_keywords, lower_ascii

MOST_ROUNDS = 16
SHORTEST_TEXT = 10  # a keyword, a sign and a password
LONGEST_KEY = 16_384
WRAPPED = re.compile(r"(?m)^(?:[^\n]{52,400}(?<=[\w+/=.\-]{8})\n(?=[\w+/=.\-])){1,60}[^\n]{0,400}")


@dataclass(frozen=True, slots=True)
class SecretSpan:
    """A secret's place in a text. The secret itself is never copied."""

    rule: str
    start: int
    end: int


def findings(text: str, *, guesses: bool = False) -> tuple[SecretSpan, ...]:
    """Every secret in ``text``, by place; overlapping finds are one, named by the first shape in the table.

    With ``guesses`` also passwords that a person may have made up: enough to blot one out, too little to refuse a
    change for it.
    """
    if len(text) < SHORTEST_TEXT:
        return ()
    found = [*_findings(text, guesses=guesses), *_across_lines(text, guesses=guesses)]
    merged: list[SecretSpan] = []
    for item in sorted(found, key=lambda f: (f.start, -f.end)):
        if merged and item.start < merged[-1].end:
            merged[-1] = SecretSpan(merged[-1].rule, merged[-1].start, max(merged[-1].end, item.end))
        else:
            merged.append(item)
    return tuple(merged)


def _findings(text: str, *, guesses: bool) -> list[SecretSpan]:
    found = list(_private_keys(text))
    for name, hint, shape in SHAPES:
        if hint in text:
            found += [SecretSpan(name, m.start(), m.end()) for m in compiled(shape).finditer(text)]
    lower = lower_ascii(text)
    found += [SecretSpan(*item) for item in find_beside_keywords(text, lower, guesses=guesses)]
    found += [SecretSpan("detected", start, end) for start, end in run_detector(text, lower)]
    if guesses:
        found += [SecretSpan(*item) for item in find_plain_passwords(text, lower)]
    return found


def _across_lines(text: str, *, guesses: bool) -> Iterator[SecretSpan]:
    """Secrets that a terminal or a mail broke at its width: searched where a long line ends within a word."""
    for run in WRAPPED.finditer(text):
        lines = run[0].split("\n")
        ends = list(accumulate(len(line) for line in lines))[:-1]
        for item in _findings("".join(lines), guesses=guesses):
            start, end = (at + bisect.bisect(ends, at) + run.start() for at in (item.start, item.end - 1))
            if "\n" in text[start : end + 1]:
                yield SecretSpan(item.rule, start, end + 1)


def redact(text: str) -> str:
    """``text`` with every secret replaced by ``[redacted:<rule>]``. Doing it again changes nothing."""
    for _ in range(MOST_ROUNDS):  # a key that was glued to another one has a boundary only when that one is gone
        found = findings(text, guesses=True)
        if not found:
            break
        out, at = [], 0
        for item in found:
            out += [text[at : item.start], f"[redacted:{item.rule}]"]
            at = item.end
        text = "".join([*out, text[at:]])
    return text


def _private_keys(text: str) -> Iterator[SecretSpan]:
    """Key blocks, to their end line where there is one, and what was cut at either end."""
    if "PRIVATE KEY" in text:
        ends = [m.end() for m in KEY_END.finditer(text)]
        for head in KEY_HEAD.finditer(text):
            after = bisect.bisect(ends, head.end())
            end = ends[after] if after < len(ends) else _rows_after(text, head.end())
            yield SecretSpan("private-key", head.start(), end)
        done = 0
        for tail in KEY_TAIL.finditer(text):
            start = _rows_before(text, tail.start(), done)
            done = tail.end()
            if start < tail.start():
                yield SecretSpan("private-key", start, done)
    for head in PUTTY_HEAD.finditer(text) if "PuTTY-User-Key" in text else ():
        yield SecretSpan("private-key", head.start(), _end_of_putty(text, head.end()))


def _end_of_putty(text: str, at: int) -> int:
    """The end of a key of PuTTY; of one that was cut, of its last line."""
    limit = at + LONGEST_KEY
    end = PUTTY_END.search(text, at, limit)
    if end is not None:
        return end.end()
    rows = PUTTY_ROWS.search(text, at, limit)
    return at if rows is None else _rows_after(text, rows.end())


def _rows_after(text: str, at: int) -> int:
    """Where the lines of a key that follow ``at`` end."""
    limit = at + LONGEST_KEY
    while at < limit:
        gap = KEY_GAP.match(text, at)
        row = KEY_ROW.match(text, gap.end() if gap else at)
        if row is None:
            break
        at = row.end()
    return at


def _rows_before(text: str, at: int, first: int) -> int:
    """Where the lines of a key that go before ``at`` begin."""
    for row in reversed(list(KEY_ROW.finditer(text, max(first, at - LONGEST_KEY), at))):
        if not KEY_GAP.fullmatch(text, row.end(), at):
            break
        at = row.start()
    return at
