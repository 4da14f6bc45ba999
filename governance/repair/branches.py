"""Which partial repairs a search goes on from, and how two of them become one. Pure.

A variant that turns some of the failing tests green and no other test red is kept as a base. What was found beside it
is tried on it first: two mistakes that have nothing to do with each other are mended by two such variants together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from governance.repair.moves import Proposed
from governance.repair.ranking import Partial, Variant


def order(partial: Partial, before: int = 0) -> tuple[int, int, int, int]:
    """The more tests are green the better, then the smaller change; ``before``: those that its base had turned."""
    variant = partial.variant
    return -(len(partial.fixed) + before), partial.size // 8, -variant.votes, -variant.logprob_milli


def worth_keeping(found: Iterable[Partial], most: int) -> list[Partial]:
    """The best partial repair for each set of tests, best first; none that may get round a test."""
    best: dict[frozenset[str], Partial] = {}
    for partial in sorted((p for p in found if not p.shortcut), key=order):
        best.setdefault(partial.fixed, partial)
    return list(best.values())[:most]


def carried(kept: Variant, others: Iterable[Partial], left: Collection[str]) -> tuple[tuple[str, Proposed], ...]:
    """The changes of ``others`` that mend something of what is ``left``, for the text that has ``kept`` in it."""
    found = []
    for other in others:
        moved = _moved(kept, other.variant) if other.fixed & frozenset(left) else None
        if moved is not None:
            found.append((other.variant.path, moved))
    return tuple(dict.fromkeys(found))


def _moved(kept: Variant, other: Variant) -> Proposed | None:
    """``other``'s change, where ``kept`` has been made in the same text; None where the two meet."""
    span, made = other.span, kept.span
    if kept.path == other.path and span.end > made.start:
        if span.start < made.end:
            return None
        written = made.lead + kept.text + made.tail
        further = len(written) - (made.end - made.start)
        span = replace(span, start=span.start + further, end=span.end + further)
    return Proposed(span, other.text, other.kind)
