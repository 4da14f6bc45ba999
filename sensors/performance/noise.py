"""Is a measurement worse than what was measured before, by more than noise? Pure.

The median and the median absolute deviation (MAD) of earlier measurements define what is usual: one or two wild values
move neither. Worse is what lies beyond three bounds at once, all on the bad side of the median: so many deviations,
a share of the median itself, and nearly every earlier value with half that share on top (what has two usual values,
as a processor with two speeds has, is noisy about each).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from ledger.vocabulary import Frozen
from sensors.performance.measurements import Better

NORMAL = 1.4826  # MAD to standard deviation, where the noise is normal
FEW = 4.0  # the MAD of few values is itself noisy: with n of them the bound is 1 + FEW / n times as wide
USUAL = 0.9  # the share of earlier values that a worse one lies beyond


class NoiseBounds(Frozen):
    """When a value is called worse."""

    least: int  # with fewer earlier values nothing is
    deviations: float
    share: float  # of the median


class Usual(Frozen):
    """Summary of earlier values. ``limit`` is the last value that is still no worse."""

    median: float
    limit: float
    count: int


def usual(earlier: Sequence[float], better: Better, bounds: NoiseBounds) -> Usual | None:
    """None without a baseline: too few values, or a median of zero, of which no share can be worse."""
    if len(earlier) < max(1, bounds.least):
        return None
    sign = 1.0 if better is Better.LOWER else -1.0
    turned = sorted(sign * value for value in earlier)  # larger is worse from here on
    middle = median(turned)
    if middle == 0:
        return None
    spread = NORMAL * median(abs(value - middle) for value in turned)
    margin = max(bounds.deviations * (1 + FEW / len(turned)) * spread, bounds.share * abs(middle))
    seen = turned[math.ceil(USUAL * len(turned)) - 1] + bounds.share * abs(middle) / 2
    limit = max(middle + margin, seen)
    return Usual(median=sign * middle, limit=sign * limit, count=len(turned))


def is_worse(value: float, limit: float, better: Better) -> bool:
    """Beyond the limit, on the bad side."""
    return value > limit if better is Better.LOWER else value < limit


def percent(value: float, middle: float) -> int:
    """How far ``value`` is from ``middle``, in whole percents of it, whichever way; capped."""
    return round(min(abs(value - middle) / abs(middle), 9_999) * 100)
