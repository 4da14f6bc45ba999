"""Reputation of files from the outcomes of earlier changes. Pure and in integers, so that a replay is exact.

An outcome's weight halves with :data:`HALF_LIFE` and is zero after :data:`TIME_TO_LIVE`. Unit: basis points.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from governance.memory.history import PastOp
from ledger.vocabulary import Frozen

WHOLE = 10_000
TIME_TO_LIVE = timedelta(hours=168)
HALF_LIFE = timedelta(hours=56)
MOST_COMPANIONS = 5


class Reputation(Frozen):
    """Reputation of one file. ``outcomes`` is a count; the other numbers are sums of weights."""

    path: str
    outcomes: int = 0
    weight: int = 0
    good: int = 0
    taken_back: int = 0
    fails_with: tuple[str, ...] = ()  # files of the same failed changes, most frequent first

    @property
    def success_bp(self) -> int:
        """Weighted share of good outcomes; 10000 without outcomes."""
        return self.good * WHOLE // self.weight if self.weight else WHOLE

    @property
    def fragility_bp(self) -> int:
        """Weighted share of changes that the owner undid or rejected although they had passed all checks."""
        return self.taken_back * WHOLE // self.weight if self.weight else 0


def weight(age: timedelta) -> int:
    """Weight of an outcome of this age. A negative age (clock set back) counts as zero."""
    if age >= TIME_TO_LIVE:
        return 0
    halvings: float = max(age, timedelta(0)) / HALF_LIFE
    return round(WHOLE * math.pow(0.5, halvings))


def reputations(past: Iterable[PastOp], paths: Collection[str], now: datetime) -> tuple[Reputation, ...]:
    """One for each of ``paths``, in order."""
    lived = [(each, found) for each in past if (found := weight(now - each.when))]
    return tuple(_reputation(path, [(each, heavy) for each, heavy in lived if path in each.files]) for path in paths)


def _reputation(path: str, touched: Collection[tuple[PastOp, int]]) -> Reputation:
    companions = Counter(file for each, _ in touched if not each.good for file in each.files if file != path)
    often = sorted(companions, key=lambda file: (-companions[file], file))
    return Reputation(
        path=path,
        outcomes=len(touched),
        weight=sum(heavy for _, heavy in touched),
        good=sum(heavy for each, heavy in touched if each.good),
        taken_back=sum(heavy for each, heavy in touched if each.taken_back),
        fails_with=tuple(often[:MOST_COMPANIONS]),
    )
