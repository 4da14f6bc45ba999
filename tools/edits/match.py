"""Where a search text stands in a file: exactly, then up to trailing blanks, then up to uniform indentation."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SHOWN_CHARS = 160
SHOWN_PLACES = 5


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much the file's text is indented further (``add``) or less far (``cut``) than the search text."""

    add: str = ""
    cut: str = ""

    def apply(self, line: str) -> str | None:
        """``line`` moved; None when it has not the blanks that would have to go."""
        if not line.strip():
            return line
        if not line.startswith(self.cut):
            return None
        return self.add + line[len(self.cut) :]


@dataclass(frozen=True, slots=True)
class Found:
    """The search text begins at line index ``start``, and was moved by ``shift``."""

    start: int
    shift: Shift = Shift()


def _starts(lines: Sequence[str], wanted: Sequence[str], same: Callable[[str, str], bool]) -> list[int]:
    size = len(wanted)
    return [
        at
        for at in range(len(lines) - size + 1)
        if all(same(lines[at + i], wanted[i]) for i in range(size))
    ]  # fmt: skip


def _shift_at(lines: Sequence[str], wanted: Sequence[str], at: int) -> Shift | None:
    """The one shift that turns ``wanted`` into the lines at ``at`` (trailing blanks aside), if there is one."""
    shift: Shift | None = None
    for index, line in enumerate(wanted):
        have, want = lines[at + index].rstrip(), line.rstrip()
        if not want:
            if have:
                return None
            continue
        if have.lstrip() != want.lstrip():
            return None
        have_indent, want_indent = have[: len(have) - len(have.lstrip())], want[: len(want) - len(want.lstrip())]
        if have_indent.endswith(want_indent):
            this = Shift(add=have_indent[: len(have_indent) - len(want_indent)])
        elif want_indent.endswith(have_indent):
            this = Shift(cut=want_indent[: len(want_indent) - len(have_indent)])
        else:
            return None
        if shift is not None and this != shift:
            return None
        shift = this
    return shift


def find(lines: Sequence[str], wanted: Sequence[str]) -> tuple[Found, ...]:
    """Every place where ``wanted`` stands, at the strictest level that finds one. Overlapping places count."""
    if not wanted or len(wanted) > len(lines):
        return ()
    exact = _starts(lines, wanted, str.__eq__)
    if exact:
        return tuple(Found(at) for at in exact)
    if not any(line.strip() for line in wanted):
        return ()
    loose = _starts(lines, wanted, lambda have, want: have.rstrip() == want.rstrip())
    if loose:
        return tuple(Found(at) for at in loose)
    moved = ((at, _shift_at(lines, wanted, at)) for at in range(len(lines) - len(wanted) + 1))
    return tuple(Found(at, shift) for at, shift in moved if shift is not None)


def _short(line: str) -> str:
    return repr(line if len(line) <= SHOWN_CHARS else line[:SHOWN_CHARS] + "…")


def _nearest(lines: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Index where most lines of ``wanted`` agree; else where its first telling line is most alike."""
    stripped = [line.strip() for line in lines]
    needles = [line.strip() for line in wanted]
    score: dict[int, int] = {}
    places: dict[str, list[int]] = {}
    for index, line in enumerate(stripped):
        places.setdefault(line, []).append(index)
    for offset, needle in enumerate(needles):
        for index in places.get(needle, ()) if needle else ():
            start = max(0, index - offset)
            score[start] = score.get(start, 0) + 1
    if score:
        return max(score, key=lambda at: (score[at], -at))
    telling = next((needle for needle in needles if needle), None)
    if telling is None:
        return None
    alike = difflib.get_close_matches(telling, dict.fromkeys(stripped), n=1, cutoff=0.5)
    return max(0, stripped.index(alike[0]) - needles.index(telling)) if alike else None


def not_found(lines: Sequence[str], wanted: Sequence[str]) -> str:
    """What to tell the model when nothing matched: the nearest lines and the first difference."""
    at = _nearest(lines, wanted)
    if at is None:
        first = next((line for line in wanted if line.strip()), "")
        return f"the search text is not in the file ({len(lines)} lines), nor a line like its first, {_short(first)}."
    shown = lines[at : at + len(wanted)]
    agree = sum(have.strip() == want.strip() for have, want in zip(shown, wanted, strict=False))
    parts = [
        f"the search text is not in the file. The nearest are lines {at + 1}-{at + len(shown)} "
        f"({agree} of {len(wanted)} lines agree)."
    ]
    for offset, want in enumerate(wanted):
        if offset >= len(shown):
            parts.append(f"The file ends before your line {_short(want)}.")
            break
        if shown[offset].rstrip() != want.rstrip():
            parts.append(f"Line {at + offset + 1} of the file is {_short(shown[offset])}, you wrote {_short(want)}.")
            break
    return " ".join(parts)


def ambiguous(found: Sequence[Found], size: int) -> str:
    """What to tell the model when the text matched several times."""
    places = ", ".join(f"{f.start + 1}-{f.start + size}" for f in found[:SHOWN_PLACES])
    more = f" and {len(found) - SHOWN_PLACES} more" if len(found) > SHOWN_PLACES else ""
    return (
        f"the search text stands {len(found)} times (lines {places}{more}). Add neighbouring lines to make it unique."
    )
