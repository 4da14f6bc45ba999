"""Lines that a change adds."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

EXACT_LINES = 1500  # above this many changed lines the exact comparison, which is quadratic, gives way to counting


@dataclass(frozen=True, slots=True)
class AddedLine:
    """A line that was not there before. ``number`` is its 1-based place in the new text."""

    number: int
    text: str


def as_text(data: bytes | None) -> str:
    """Text for judging: what is not UTF-8 becomes replacement characters, a byte order mark at the start goes."""
    return (data or b"").decode("utf-8", errors="replace").removeprefix("\ufeff")


def split_lines(text: str) -> list[str]:
    """Lines as an editor counts them; only newline characters end a line."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines and not lines[-1] else lines


def added_lines(before: bytes | None, after: bytes | None) -> tuple[AddedLine, ...]:
    """Lines of ``after`` that the change brings."""
    old, new = split_lines(as_text(before)), split_lines(as_text(after))
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    if max(len(middle_old), len(middle_new)) > EXACT_LINES:
        picked = _by_count(middle_old, middle_new)
    else:
        matcher = difflib.SequenceMatcher(None, middle_old, middle_new, autojunk=False)
        picked = [i for tag, _, _, b0, b1 in matcher.get_opcodes() if tag != "equal" for i in range(b0, b1)]
    return tuple(AddedLine(head + i + 1, middle_new[i]) for i in picked)


def _by_count(old: Sequence[str], new: Sequence[str]) -> list[int]:
    """Lines that occur more often than before; a line that only moved is not new."""
    left = Counter(old)
    picked = []
    for index, line in enumerate(new):
        if left[line] > 0:
            left[line] -= 1
        else:
            picked.append(index)
    return picked
