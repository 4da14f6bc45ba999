"""Search for text in a file: exact, else ignoring trailing whitespace, else with uniformly shifted indentation."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

SHOWN_CHARS = 160
SHOWN_PLACES = 5
MOST_LINES = 20_000  # maximum lines of a file that are compared by similarity
MOST_PLACES = 500  # maximum places in a file that are checked for shifted indentation
COMPARED_CHARS = 400  # maximum characters of a line that are compared by similarity


@dataclass(frozen=True, slots=True)
class Shift:
    """Difference of indentation: the file has ``add`` more than the search text, or ``cut`` less."""

    add: str = ""
    cut: str = ""

    def apply(self, line: str) -> str | None:
        """``line`` with the shift applied; None when it lacks the whitespace to cut."""
        if not line.strip():
            return line
        if not line.startswith(self.cut):
            return None
        return self.add + line[len(self.cut) :]


@dataclass(frozen=True, slots=True)
class BlockMatch:
    """A match that begins at line index ``start``, with its indentation shifted by ``shift``."""

    start: int
    shift: Shift = Shift()


def _find_starts(lines: Sequence[str], wanted: Sequence[str]) -> Iterator[int]:
    """Indices where ``wanted`` begins in ``lines``, overlaps included; linear time (Knuth-Morris-Pratt)."""
    back = [0] * len(wanted)  # the failure function: length of the longest proper prefix that is also a suffix
    held = 0
    for at in range(1, len(wanted)):
        while held and wanted[at] != wanted[held]:
            held = back[held - 1]
        held += wanted[at] == wanted[held]
        back[at] = held
    held = 0
    for at, line in enumerate(lines):
        while held and line != wanted[held]:
            held = back[held - 1]
        held += line == wanted[held]
        if held == len(wanted):
            yield at + 1 - held
            held = back[held - 1]


def _shift_at(lines: Sequence[str], wanted: Sequence[str], at: int) -> Shift | None:
    """The shift that turns ``wanted`` into the lines at ``at`` (ignoring trailing whitespace); None without one."""
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


def find(lines: Sequence[str], wanted: Sequence[str]) -> tuple[BlockMatch, ...]:
    """All matches of ``wanted``, overlaps included, by the strictest of the three comparisons that has any."""
    if not wanted or len(wanted) > len(lines):
        return ()
    exact = tuple(BlockMatch(at) for at in _find_starts(lines, wanted))
    if exact:
        return exact
    if not any(line.strip() for line in wanted):
        return ()
    loose = tuple(
        BlockMatch(at) for at in _find_starts([line.rstrip() for line in lines], [line.rstrip() for line in wanted])
    )
    if loose:
        return loose
    alike = _find_starts([line.strip() for line in lines], [line.strip() for line in wanted])
    moved = ((at, _shift_at(lines, wanted, at)) for at in islice(alike, MOST_PLACES))
    return tuple(BlockMatch(at, shift) for at, shift in moved if shift is not None)


def _short(line: str) -> str:
    return repr(line if len(line) <= SHOWN_CHARS else line[:SHOWN_CHARS] + "…")


def _nearest(lines: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Index where most lines of ``wanted`` agree, else where its first non-blank line is most similar; else None."""
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
    first = next((needle for needle in needles if needle), None)
    if first is None:
        return None
    short = {line[:COMPARED_CHARS]: at for at, line in reversed(list(enumerate(stripped[:MOST_LINES])))}
    alike = difflib.get_close_matches(first[:COMPARED_CHARS], short, n=1, cutoff=0.5)
    return max(0, short[alike[0]] - needles.index(first)) if alike else None


def not_found(lines: Sequence[str], wanted: Sequence[str]) -> str:
    """Message for the model when nothing matched: the nearest lines and the first difference."""
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


def ambiguous(found: Sequence[BlockMatch], size: int) -> str:
    """Message for the model when the text matched several times."""
    places = ", ".join(f"{f.start + 1}-{f.start + size}" for f in found[:SHOWN_PLACES])
    more = f" and {len(found) - SHOWN_PLACES} more" if len(found) > SHOWN_PLACES else ""
    return (
        f"the search text occurs {len(found)} times (lines {places}{more}). Add neighbouring lines to make it unique."
    )
