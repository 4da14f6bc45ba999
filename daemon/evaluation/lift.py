"""What a feature brings: the same tasks with it and without, compared task by task. Pure.

A share that rises is shown with the interval of Agresti and Min for matched pairs (Statistics in Medicine 24, 2005:
half an observation more in each of the four cells, then Wald), which holds for few pairs and for pairs that all agree.
Seconds are compared where both repaired the task: the median of the differences, with the interval of the sign test,
which assumes nothing of how they are spread.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.evaluation.trial import TrialOutcome, TrialResult

Z = 1.959964  # two-sided 95 %
TAIL = 0.025
WITH = "with everything"
COLUMNS = (
    "| without | pairs | repaired: with, without | difference (95 %) | wrong: with, without "
    "| seconds more without (95 %) | verdict |\n|---|---:|---|---|---|---|---|"
)


def label_without(feature: str) -> str:
    return f"without {feature}"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and where it lies with 95 % confidence; bounds are infinite where too little was seen."""

    middle: float
    low: float
    high: float

    def told(self, form: str) -> str:
        if math.isinf(self.low) or math.isinf(self.high):
            return f"{format(self.middle, form)} (too few)"
        return f"{format(self.middle, form)} ({format(self.low, form)} to {format(self.high, form)})"


def share_more(only_with: int, only_without: int, pairs: int) -> Interval:
    """By how much the share repaired is larger with the feature. ``pairs`` counts all, those that agree as well."""
    count = pairs + 2.0
    gained, lost = only_with + 0.5, only_without + 0.5
    centre = (gained - lost) / count
    spread = Z * math.sqrt(max(0.0, (gained + lost) - (gained - lost) ** 2 / count)) / count
    middle = (only_with - only_without) / pairs if pairs else 0.0
    return Interval(middle, max(-1.0, centre - spread), min(1.0, centre + spread))


def median_of(differences: Sequence[float]) -> Interval:
    """The median of paired differences; the interval is between two of them, by the binomial distribution."""
    ordered = sorted(differences)
    count, below, at = len(ordered), 0.0, -1
    while count and (below := below + math.comb(count, at + 1) / 2**count) <= TAIL:
        at += 1
    middle = statistics.median(ordered) if ordered else 0.0
    return Interval(middle, ordered[at], ordered[count - 1 - at]) if at >= 0 else Interval(middle, -math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Lift:
    """Of one feature, over the tasks that were tried with and without it."""

    feature: str
    pairs: int
    repaired: tuple[int, int]  # with, without
    wrong: tuple[int, int]
    more: Interval  # share repaired, with less without
    seconds: Interval  # seconds without less those with, of what both repaired

    @property
    def verdict(self) -> str:
        """Pays, harms, or nothing was shown either way. What is repaired counts before how long it took."""
        if self.more.low > 0 or (self.more.middle >= 0 and self.seconds.low > 0):
            return "pays"
        if self.more.high < 0 or (self.more.middle <= 0 and self.seconds.high < 0):
            return "harms"
        return "not shown"


def lift_of(feature: str, results: Sequence[TrialResult]) -> Lift:
    """From all results there are; tasks that were invalid on either side are left out."""
    sides = [
        {r.task: r for r in results if r.label == label and r.outcome is not TrialOutcome.INVALID}
        for label in (WITH, label_without(feature))
    ]
    pairs = [(sides[0][task], sides[1][task]) for task in sides[0] if task in sides[1]]
    good = [tuple(r.outcome is TrialOutcome.RESOLVED for r in pair) for pair in pairs]
    wrong = [tuple(r.outcome is TrialOutcome.WRONG for r in pair) for pair in pairs]
    both = [b.seconds - a.seconds for (a, b), done in zip(pairs, good, strict=True) if all(done)]
    return Lift(
        feature=feature,
        pairs=len(pairs),
        repaired=(sum(g[0] for g in good), sum(g[1] for g in good)),
        wrong=(sum(w[0] for w in wrong), sum(w[1] for w in wrong)),
        more=share_more(sum(g == (True, False) for g in good), sum(g == (False, True) for g in good), len(pairs)),
        seconds=median_of(both),
    )


def lift_table(features: Sequence[str], results: Sequence[TrialResult], off_by_default: Mapping[str, bool]) -> str:
    """Markdown, a row each. ``off_by_default`` marks features that are off by default."""
    rows = []
    for lift in (lift_of(feature, results) for feature in features):
        stands = " (off by default)" if off_by_default.get(lift.feature) else ""
        rows.append(
            f"| {lift.feature} | {lift.pairs} | {lift.repaired[0]}, {lift.repaired[1]} | {lift.more.told('+.0%')} "
            f"| {lift.wrong[0]}, {lift.wrong[1]} | {lift.seconds.told('+.1f')} | {lift.verdict}{stands} |"
        )
    return "\n".join([COLUMNS, *rows])
