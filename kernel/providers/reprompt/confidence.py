"""Confidence of an answer: as stated in its last line, else estimated from its form. Pure."""

from __future__ import annotations

import re

from ledger.parsers.json import read_json
from ledger.python_source import parse

# A separate last line, with or without emphasis: "confidence: 0.9", "**Confidence: 90%**".
_STATED = re.compile(
    r"(?:^|\n)[ \t>*_`#-]*confidence[ \t*_`]*[:=][ \t*_`]*"
    r"(?P<number>\d{1,3}(?:\.\d{1,6})?|\.\d{1,6})(?P<percent>[ \t]*%)?[ \t.*_`]*\s*\Z",
    re.IGNORECASE,
)
_TAIL = 400  # characters searched for the last line
_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*$", re.MULTILINE)
_HEDGE = re.compile(
    r"\b(?:not (?:entirely |quite )?sure|might|maybe|perhaps|probably|I (?:think|guess|assume)|unclear"
    r"|cannot be certain|hard to say|TODO|FIXME)\b",
    re.IGNORECASE,
)
_ENDINGS = tuple(".!?:)]}>\"'`|*;")

PLAIN = 0.8  # prose alone is no evidence of correctness: below the threshold
PARSED = 0.1
HEDGE = 0.1  # for each of the first three
OPEN_END = 0.2
BROKEN = 0.4
CUT = 0.3  # maximum for an answer that was cut off


def split_confidence(raw: str) -> tuple[str, float | None]:
    """The answer without its confidence line, and the stated confidence in [0, 1] (None without one)."""
    found = _STATED.search(raw, max(len(raw) - _TAIL, 0))
    if found is None:
        return raw, None
    number = float(found["number"])
    if found["percent"] or number > 10:  # 85 can only be percent; 7 is ambiguous
        number /= 100
    return (raw[: found.start()].rstrip(), number) if number <= 1 else (raw, None)


def estimate_confidence(text: str, *, cut: bool) -> float:
    """Confidence in [0, 1] from structure: not empty, complete, few hedges, code that parses. ``cut``: cut off by the
    limit.
    """
    body = text.strip()
    if not body:
        return 0.0
    score = PLAIN - HEDGE * min(len(_HEDGE.findall(body)), 3)
    blocks, closed = _code_blocks(body)
    if not closed or body.count("<<<<<<<") != body.count(">>>>>>>"):
        score -= BROKEN
    verdicts = [sound for kind, block in blocks if (sound := _parses(kind, block)) is not None]
    if verdicts:
        score += PARSED if all(verdicts) else -BROKEN
    elif not body.endswith(_ENDINGS) and not body.rpartition("\n")[2].startswith(">>>>>>>"):
        score -= OPEN_END
    return round(max(min(score, CUT) if cut else score, 0.0), 6)


def _code_blocks(text: str) -> tuple[list[tuple[str, str]], bool]:
    """Fenced blocks as (language, content), and whether every fence is closed. Bare JSON counts as one block."""
    if text[0] + text[-1] in ("{}", "[]"):
        return [("json", text)], True
    fences = list(_FENCE.finditer(text))
    pairs = zip(fences[::2], fences[1::2], strict=False)
    return [(a[1].lower(), text[a.end() : b.start()]) for a, b in pairs], len(fences) % 2 == 0


def _parses(kind: str, block: str) -> bool | None:
    """Whether a block parses; None for a language without a parser here."""
    try:
        if kind == "json":
            read_json(block, constant=float)
        elif kind in ("python", "py", "python3"):
            return parse(block) is not None
        else:
            return None
    except (ValueError, RecursionError):
        return False
    return True
