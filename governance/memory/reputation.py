"""The reputation of files, from what became of earlier changes. Pure, in whole numbers, so a replay gives the same.

An outcome weighs half as much after :data:`HALF_LIFE`, and nothing after :data:`TIME_TO_LIVE`. Weights and rates are in
basis points.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from governance.memory.history import Past
from ledger.vocabulary import Frozen

WHOLE = 10_000
TIME_TO_LIVE = timedelta(hours=168)
HALF_LIFE = timedelta(hours=56)
MOST_COMPANIONS = 5


class Reputation(Frozen):
    """What is remembered of one file. ``outcomes`` are counted whole, the others are sums of weights."""

    path: str
    outcomes: int = 0
    weight: int = 0
    good: int = 0
    taken_back: int = 0
    fails_with: tuple[str, ...] = ()  # files that were changed with it in vain, most often first

    @property
    def success_bp(self) -> int:
        """Share of what went well; whole where nothing is known, for nothing speaks against the file."""
        return self.good * WHOLE // self.weight if self.weight else WHOLE

    @property
    def fragility_bp(self) -> int:
        """Share of what the owner took back or turned down: it had passed all checks, and was wrong."""
        return self.taken_back * WHOLE // self.weight if self.weight else 0


def weight(age: timedelta) -> int:
    """Of an outcome so long ago. A clock that was set back makes nothing heavier than now."""
    if age >= TIME_TO_LIVE:
        return 0
    halvings: float = max(age, timedelta(0)) / HALF_LIFE
    return round(WHOLE * math.pow(0.5, halvings))


def reputations(past: Iterable[Past], paths: Collection[str], now: datetime) -> tuple[Reputation, ...]:
    """One for each of ``paths``, in their order."""
    lived = [(each, found) for each in past if (found := weight(now - each.when))]
    return tuple(_reputation(path, [(each, heavy) for each, heavy in lived if path in each.files]) for path in paths)


def _reputation(path: str, touched: Collection[tuple[Past, int]]) -> Reputation:
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
