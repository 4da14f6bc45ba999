"""The canary itself: features, z-scores, one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from kernel.canary.features import FEATURES, STUCK, FeatureTracker
from kernel.canary.levels import Levels
from kernel.canary.reading import CanaryReading, TokenStep

FAR = 40.0  # deviations; a long loop must be able to raise the alarm by itself, whatever else is normal


class Canary:
    """Watches one generation. ``context`` holds the token ids of its prompt.

    A generation can be stuck or lost, seldom both: each has its features, their weighted sum, and the worse of the two
    counts. Only what is above normal adds to a sum, so a feature below its mean never makes up for another. ``push``
    takes the same time for every token, and the same steps always give the same readings.
    """

    def __init__(self, levels: Levels, context: Sequence[int] = ()) -> None:
        self._levels = levels
        bases = [(name, levels.features[name]) for name in FEATURES]
        self._scales = [(name, base.mean, 1.0 / base.deviation, base.weight) for name, base in bases]
        self._features = FeatureTracker(context)
        self._over = 0
        self.tokens = 0

    def reset(self) -> None:
        """Begin again behind the same prompt."""
        self._features.reset()
        self._over = 0
        self.tokens = 0

    @property
    def entries(self) -> int:
        """Table entries held: never more than tokens in the prompt, plus tokens pushed, plus the window."""
        return self._features.copies.entries + len(self._features.window)

    def push(self, step: TokenStep) -> CanaryReading:
        """Take the next token of the answer."""
        self.tokens += 1
        values = self._features.push(step)
        stuck, why_stuck = self._sum(values, 0, len(STUCK))
        lost, why_lost = self._sum(values, len(STUCK), len(FEATURES))
        proximity = logistic(self._levels.bias + max(stuck, lost))
        self._over = self._over + 1 if proximity >= self._levels.alarm else 0
        signal = why_stuck if stuck >= lost else why_lost
        return CanaryReading(proximity, signal, self._over >= self._levels.patience)

    def _sum(self, values: Sequence[float], first: int, behind: int) -> tuple[float, str]:
        """What the features from ``first`` on add to the log-odds, and the one that adds most."""
        total, most, signal = 0.0, 0.0, "none"
        for at in range(first, behind):
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


CALM = 0.2  # clean runs pass this now and then: below it nothing changes, and the fast path stays the fast path
MOST_STEPS = 2  # a looped model that was trained with T steps gains little beyond T + 2, and may lose
MOST_PENALTY = 1.3  # factor on the base; CTRL's value


@dataclass(frozen=True, slots=True)
class DecodingAdjustment:
    """``extra_steps`` loops more than the exit policy asks for, the exit quantile ``q`` (0 to 1; 1 means full depth),
    and ``repetition_penalty`` (1 means none)."""

    extra_steps: int
    q: float
    repetition_penalty: float


def adjust_decoding(proximity: float, *, q: float = 0.5, repetition_penalty: float = 1.0) -> DecodingAdjustment:
    """How to compute the next token at this ``proximity``; ``q`` and ``repetition_penalty`` are what is set.

    Every knob only grows with ``proximity``. Raises ``ValueError`` outside [0, 1].
    """
    if not 0.0 <= proximity <= 1.0:
        raise ValueError(f"proximity {proximity} is not in [0, 1]")
    turn = max(proximity - CALM, 0.0) / (1.0 - CALM)
    return DecodingAdjustment(
        extra_steps=round(MOST_STEPS * turn),
        q=q + max(1.0 - q, 0.0) * turn,
        repetition_penalty=repetition_penalty * (1.0 + (MOST_PENALTY - 1.0) * turn),
    )
