"""From labelled runs to levels: baselines from the clean ones, weights by logistic regression, the alarm from both.

The two sums of the canary (stuck and lost) are fitted one by one, each on the collapses that it is there for. Weights
are kept at or above zero, so that every feature can only add to the trouble. The regression looks at what decides: of a
clean generation its worst moments under the weights so far, of a collapsed one the tokens soon after its onset. At last
each sum is stretched so that rest and alarm lie at the same places for every model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.canary.measure import IN_TIME
from kernel.canary import Baseline, Levels, TokenStep
from kernel.canary.detector import FAR, logistic
from kernel.canary.features import FEATURES, LOST, STUCK, FeatureTracker

Array = npt.NDArray[np.float64]

LEAST_DEVIATION = 0.05  # a feature that never moves in clean runs must not make a mountain of one token
WORST = 12  # moments of a clean generation that the regression looks at
SOON = 12  # tokens after the onset, when a collapse must begin to show
ROUNDS, STEPS, RATE, SHRINK = 5, 3000, 0.05, 1e-3
PATIENCES = (2, 3, 4, 6, 8)
FALSE_COST = 25.0  # one false alarm weighs as much as so many collapses that are missed, both as shares
REST_ODDS, ALARM_ODDS = -4.0, 2.0  # proximity 0.018 and 0.88


@dataclass(frozen=True, slots=True)
class Run:
    """One generation: its features (tokens, features), its label, and where the collapse began (``None``: clean)."""

    values: Array
    label: str
    onset: int | None


def run_of(prompt: Sequence[int], steps: Sequence[TokenStep], label: str, onset: int | None) -> Run:
    features = FeatureTracker(prompt)
    return Run(np.array([features.push(step) for step in steps]).reshape(-1, len(FEATURES)), label, onset)


def sustained(odds: Array, patience: int) -> float:
    """The highest level that is held for ``patience`` tokens in a row."""
    if len(odds) < patience:
        return 0.0
    return float(np.lib.stride_tricks.sliding_window_view(odds, patience).min(axis=1).max())


class Sum:
    """The weights of one sum. ``clean`` and ``bad`` hold z-scores (tokens, features of this sum) of runs; ``bad`` from
    the onset on and no further than an alarm may come."""

    def __init__(self, clean: Sequence[Array], bad: Sequence[Array]) -> None:
        self.clean, self.bad = clean, bad
        self.weights = self._regress()

    def _regress(self) -> Array:
        bad = np.concatenate([z[SOON:] for z in self.bad])
        good = np.concatenate(self.clean)
        weights, bias = np.full(bad.shape[1], 0.1), -1.0
        for _ in range(ROUNDS):
            weights, bias = regress(good, bad, weights, bias)
            good = np.concatenate([z[np.argsort(z @ weights)[-WORST:]] for z in self.clean])
        moving = np.concatenate([*self.clean, *self.bad]).std(axis=0) > 0
        return np.asarray(regress(good, bad, weights, bias)[0] * moving)

    def alarm(self, patience: int) -> tuple[float, float]:
        """(what is gained, level) for this patience: the level at which the share of collapses that are stopped in time
        less ``FALSE_COST`` times the share of false alarms is largest, in the middle of where that is so."""
        clean = np.sort([sustained(z @ self.weights, patience) for z in self.clean])
        bad = np.sort([sustained(z @ self.weights, patience) for z in self.bad])
        edges = np.unique(np.concatenate([clean, bad]))
        levels = (edges[1:] + edges[:-1]) / 2
        stopped = 1 - np.searchsorted(bad, levels) / len(bad)
        false = 1 - np.searchsorted(clean, levels) / len(clean)
        width = (edges[1:] - edges[:-1]) / levels  # between equals the widest gap is the safest
        gain = stopped - FALSE_COST * false + 1e-3 * np.minimum(width, 1.0)
        best = int(np.argmax(np.where(levels > 0, gain, -np.inf)))
        return float(gain[best]), float(levels[best])


def regress(good: Array, bad: Array, weights: Array, bias: float) -> tuple[Array, float]:
    """Weights (none below zero) and bias that tell ``bad`` rows from ``good`` ones, both sides counting the same."""
    x = np.concatenate([good, bad])
    y = np.concatenate([np.zeros(len(good)), np.ones(len(bad))])
    share = np.where(y > 0, 0.5 / len(bad), 0.5 / len(good))
    for _ in range(STEPS):
        error = (1.0 / (1.0 + np.exp(-np.clip(x @ weights + bias, -60, 60))) - y) * share
        weights = np.maximum(weights - RATE * (x.T @ error + SHRINK * weights), 0.0)
        bias -= RATE * float(error.sum())
    return weights, bias


def fit(runs: Sequence[Run]) -> Levels:
    """Levels whose log-odds are ``REST_ODDS`` with every feature at its mean and ``ALARM_ODDS`` at the alarm."""
    values = np.concatenate([run.values for run in runs if run.onset is None])
    mean, deviation = values.mean(axis=0), np.maximum(values.std(axis=0), LEAST_DEVIATION)

    def z(run: Run, names: Sequence[str]) -> Array:
        columns = [FEATURES.index(name) for name in names]
        return np.asarray(np.clip((run.values - mean) / deviation, 0.0, FAR)[:, columns])

    sums = []
    for names, garbage in ((STUCK, False), (LOST, True)):
        bad = [run for run in runs if run.onset is not None and (run.label == "garbage") == garbage]
        if not bad:
            raise ValueError(f"no collapse to fit {', '.join(names)} on")
        sums.append(
            Sum(
                [z(run, names) for run in runs if run.onset is None],
                [z(run, names)[run.onset : run.onset + IN_TIME] for run in bad if run.onset is not None],
            )
        )

    patience = max(PATIENCES, key=lambda held: sum(one.alarm(held)[0] for one in sums))
    weights = np.concatenate([one.weights * (ALARM_ODDS - REST_ODDS) / one.alarm(patience)[1] for one in sums])
    rows = zip(FEATURES, mean.tolist(), deviation.tolist(), weights.tolist(), strict=True)
    return Levels(
        bias=REST_ODDS,
        alarm=round(logistic(ALARM_ODDS), 6),
        patience=patience,
        features={
            name: Baseline(mean=round(middle, 5), deviation=round(spread, 5), weight=round(weight, 5))
            for name, middle, spread, weight in rows
        },
    )
