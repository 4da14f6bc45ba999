"""What became of a generation, by hindsight: it sees the whole of it and only its tokens.

None of this looks at probabilities or at what the canary measures, and it stands before any level is set. All of it is
quadratic or worse, which is fine once and offline.

- loop: to the end every token equals the one ``p`` before it, and the ``p`` tokens were told three times at least. The
  onset is where the third telling begins: what is told twice may be meant so, as two test cases or two rows are; what
  is told a third time with nothing new between is not.
- stutter: the same with up to one token in twelve changed everywhere (a counter), told four times at least.
- echo: from the onset to the end at least nine tokens in ten stand in passages of 16 that were told twice before.
- garbage: known by construction; only whether it really turned into garbage is checked, by its words.

What the prompt says is no telling: to quote it and then to write it anew is what an edit asks for.

What nobody can tell is no sample, neither clean nor collapsed: a passage told a third time in the last few tokens before
the limit, and one told a third time by an answer that then ended by itself (a matrix of equal rows does, too).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

FOLLOWED = 40  # tokens that a collapse must go on for, else there is nothing that could have been stopped
BEGUN = 12  # tokens after which something may have been the beginning of one, had the limit not come
CHANGED = 1 / 12
PASSAGE, TOLD_BEFORE, WORN = 16, 2, 0.9
KNOWN = 0.7  # share of known words above which a hot answer still makes sense
WORD = re.compile(r"[^\W\d_]{2,}")


class Label(NamedTuple):
    """``onset`` is an index into the generated tokens; ``None`` when clean."""

    name: str
    onset: int | None


CLEAN = Label("clean", None)


def tail_start(stream: Sequence[int], period: int, changed: float) -> int:
    """Where the longest tail begins in which tokens equal those ``period`` before, up to the share ``changed`` of any
    stretch that is one period long (or ``1 / changed`` tokens): what is told apart from one such place is no copy.

    It begins on a token that does. ``len(stream)`` when there is no such tail.
    """
    stretch = max(period, round(1 / changed)) if changed else period
    best, misses = len(stream), 0
    for at in range(len(stream) - 1, period - 1, -1):
        same = stream[at] == stream[at - period]
        misses += not same
        if (gone := at + stretch) < len(stream):
            misses -= stream[gone] != stream[gone - period]
        if misses > changed * stretch:
            break
        if same:
            best = at
    return best


def periodic(answer: Sequence[int], *, tellings: int, changed: float, followed: int = FOLLOWED) -> int | None:
    """Where the third telling of the earliest periodic tail begins."""
    earliest = len(answer)
    for period in range(1, len(answer) // tellings + 1):
        start = tail_start(answer, period, changed)
        if len(answer) - start >= (tellings - 1) * period:
            earliest = min(earliest, start + period)
    return earliest if len(answer) - earliest >= followed else None


def worn(answer: Sequence[int], *, followed: int = FOLLOWED) -> int | None:
    """The onset of a tail that was told twice before."""
    told: Counter[tuple[int, ...]] = Counter()
    stale = [False] * len(answer)
    for at in range(len(answer) - PASSAGE + 1):
        passage = tuple(answer[at : at + PASSAGE])
        if told[passage] >= TOLD_BEFORE:
            stale[at : at + PASSAGE] = [True] * PASSAGE
        told[passage] += 1
    onset, count = None, 0
    for at in reversed(range(len(answer))):
        count += stale[at]
        if stale[at] and count >= WORN * (len(answer) - at):
            onset = at
    return onset if onset is not None and len(answer) - onset >= followed else None


def hindsight(answer: Sequence[int], *, followed: int = FOLLOWED) -> Label:
    """The earliest of loop, stutter and echo that goes on for ``followed`` tokens, or clean."""
    found = [
        Label("loop", periodic(answer, tellings=3, changed=0.0, followed=followed)),
        Label("stutter", periodic(answer, tellings=4, changed=CHANGED, followed=followed)),
        Label("echo", worn(answer, followed=followed)),
    ]
    return min((label for label in found if label.onset is not None), key=lambda label: label.onset or 0, default=CLEAN)


def words(texts: Iterable[str]) -> set[str]:
    """The words of many sound texts: what a model says when it is well."""
    return {word.lower() for text in texts for word in WORD.findall(text)}


def absurd(text: str, known: set[str]) -> bool:
    """Whether too many of the words of ``text`` were never seen in sound texts."""
    said = [word.lower() for word in WORD.findall(text)]
    return bool(said) and sum(word in known for word in said) < KNOWN * len(said)


def judge(
    aim: str,
    answer: Sequence[int],
    *,
    ended: bool,
    turn: int | None,
    hot_text: str,
    known: set[str],
) -> Label | None:
    """The label of a generation, or ``None`` when it did not become what it was meant to be or nobody can tell.

    A clean recipe may well end in a loop: then it is a collapse like any other. ``ended`` says that the answer came to
    its own end before the limit; ``turn`` and ``hot_text`` (the answer from there on) belong to garbage recipes.
    """
    label = hindsight(answer)
    if aim != "garbage":
        if label.onset is not None:
            return None if ended else label
        begun = not ended and hindsight(answer, followed=BEGUN).onset is not None
        return label if aim == "clean" and not begun else None
    assert turn is not None
    if len(answer) - turn < FOLLOWED or not absurd(hot_text, known):
        return None
    return Label("garbage", turn) if label.onset is None or label.onset >= turn else None
