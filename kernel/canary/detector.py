"""The canary: features, z-scores and one proximity; and how a proximity adjusts decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from kernel.canary.features import FEATURES, STUCK, FeatureTracker
from kernel.canary.levels import Levels
from kernel.canary.reading import CanaryReading, TokenStep

FAR = 40.0  # cap in deviations; high enough that a long loop alone raises the alarm
CALM = 0.2  # clean runs exceed this occasionally; below it decoding is unchanged and stays on the fast path
MOST_STEPS = 2  # a looped model trained with T steps gains little beyond T + 2, and may lose
MOST_PENALTY = 1.3  # factor on the base; the value of CTRL (arXiv:1909.05858)


class Canary:
    """Monitors one generation. ``context`` holds the token ids of its prompt.

    The features fall into two groups (stuck and lost) and the worse of the two weighted sums counts, since a generation
    is seldom both. Only values above normal add to a sum, so a feature below its mean never compensates another.
    ``push`` takes constant time, and equal steps give equal readings.
    """

    def __init__(self, levels: Levels, context: Sequence[int] = ()) -> None:
        self._levels = levels
        bases = [(name, levels.features[name]) for name in FEATURES]
        self._scales = [(name, base.mean, 1.0 / base.deviation, base.weight) for name, base in bases]
        self._features = FeatureTracker(context)
        self._over = 0

    @property
    def entries(self) -> int:
        """Table entries held: at most the tokens of the prompt, plus the tokens pushed, plus the window."""
        return self._features.copies.entries + len(self._features.window)

    def push(self, step: TokenStep) -> CanaryReading:
        """Adds the next token of the answer and returns the reading after it."""
        values = self._features.push(step)
        stuck, why_stuck = self._sum(values, 0, len(STUCK))
        lost, why_lost = self._sum(values, len(STUCK), len(FEATURES))
        proximity = logistic(self._levels.bias + max(stuck, lost))
        self._over = self._over + 1 if proximity >= self._levels.alarm else 0
        signal = why_stuck if stuck >= lost else why_lost
        return CanaryReading(proximity, signal, self._over >= self._levels.patience)

    def _sum(self, values: Sequence[float], first: int, end: int) -> tuple[float, str]:
        """Log-odds added by the features ``first`` to ``end`` - 1, and the one that adds most."""
        total, most, signal = 0.0, 0.0, "none"
        for at in range(first, end):
            name, mean, scale, weight = self._scales[at]
            part = weight * min(max((values[at] - mean) * scale, 0.0), FAR)
            total += part
            if part > most:
                most, signal = part, name
        return total, signal


def logistic(odds: float) -> float:
    """1 / (1 + exp(-odds)), for any finite number."""
    if odds >= 0:
        return 1.0 / (1.0 + exp(-odds))
    small = exp(max(odds, -700.0))
    return small / (1.0 + small)


@dataclass(frozen=True, slots=True)
class DecodingAdjustment:
    """``extra_steps``: loop steps beyond what the exit policy asks for. ``q``: the exit quantile (0 to 1; 1 is full
    depth). ``repetition_penalty``: 1 is none.
    """

    extra_steps: int
    q: float
    repetition_penalty: float


def adjust_decoding(proximity: float, *, q: float = 0.5, repetition_penalty: float = 1.0) -> DecodingAdjustment:
    """Settings for the next token at this ``proximity``; ``q`` and ``repetition_penalty`` are the configured values.

    Every value grows monotonically with ``proximity``. Raises ``ValueError`` outside [0, 1].
    """
    if not 0.0 <= proximity <= 1.0:
        raise ValueError(f"proximity {proximity} is not in [0, 1]")
    turn = max(proximity - CALM, 0.0) / (1.0 - CALM)
    return DecodingAdjustment(
        extra_steps=round(MOST_STEPS * turn),
        q=q + max(1.0 - q, 0.0) * turn,
        repetition_penalty=repetition_penalty * (1.0 + (MOST_PENALTY - 1.0) * turn),
    )
