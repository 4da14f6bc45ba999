"""Decides whether a measurement is worse than earlier ones by more than noise. Pure.

The baseline is the median and the median absolute deviation (MAD) of earlier measurements: one or two outliers move
neither. A value is worse if it exceeds three bounds on the bad side of the median: a number of deviations, a share of
the median, and the 90th percentile of earlier values plus half that share (for measurements that cluster around two
values, e.g. on a processor with two speeds).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from ledger.vocabulary import Frozen
from sensors.performance.measurements import Better

NORMAL = 1.4826  # factor from MAD to standard deviation for normal noise
FEW = 4.0  # widens the bound to 1 + FEW / n times: the MAD of few values is itself noisy
USUAL = 0.9  # the share of earlier values that a worse one must exceed


class NoiseBounds(Frozen):
    """Settings of the decision: when a value counts as worse."""

    least: int  # minimum number of earlier values
    deviations: float
    share: float  # of the median


class Baseline(Frozen):
    """Summary of earlier values. ``limit`` is the worst value that still counts as normal."""

    median: float
    limit: float
    count: int


def summarise(earlier: Sequence[float], better: Better, bounds: NoiseBounds) -> Baseline | None:
    """The baseline of earlier values; None with too few of them, or with a median of zero (it has no shares)."""
    if len(earlier) < max(1, bounds.least):
        return None
    sign = 1.0 if better is Better.LOWER else -1.0
    oriented = sorted(sign * value for value in earlier)  # larger is worse from here on
    middle = median(oriented)
    if middle == 0:
        return None
    spread = NORMAL * median(abs(value - middle) for value in oriented)
    margin = max(bounds.deviations * (1 + FEW / len(oriented)) * spread, bounds.share * abs(middle))
    percentile = oriented[math.ceil(USUAL * len(oriented)) - 1] + bounds.share * abs(middle) / 2
    limit = max(middle + margin, percentile)
    return Baseline(median=sign * middle, limit=sign * limit, count=len(oriented))


def is_worse(value: float, limit: float, better: Better) -> bool:
    """Whether a value exceeds the limit on the bad side."""
    return value > limit if better is Better.LOWER else value < limit


def percent(value: float, middle: float) -> int:
    """The distance of ``value`` from ``middle`` in whole percent of ``middle``, capped."""
    return round(min(abs(value - middle) / abs(middle), 9_999) * 100)
