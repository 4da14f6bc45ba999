"""Normal feature values of a model and the alarm threshold, from ``canary_levels.toml`` (written by
``bench/canary/calibrate.py``).
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from pydantic import Field, model_validator

from kernel.canary.features import FEATURES
from ledger.parsers.toml import read_toml
from ledger.vocabulary import Frozen

FALLBACK = "default"
TEXT = "text"  # table for finished text, split into word-like pieces


class Baseline(Frozen):
    """One feature over clean runs, and the log-odds that one standard deviation above the mean adds."""

    mean: float
    deviation: float = Field(gt=0)
    weight: float = Field(ge=0)


class Levels(Frozen):
    """``proximity`` is a logistic function of ``bias`` and the weighted z-scores. A generation has collapsed when it is
    at or above ``alarm`` for ``patience`` tokens in a row.
    """

    bias: float
    alarm: float = Field(gt=0, le=1)
    patience: int = Field(ge=1)
    features: dict[str, Baseline]

    @model_validator(mode="after")
    def _one_baseline_a_feature(self) -> Levels:
        if set(self.features) != set(FEATURES):
            raise ValueError(f"levels must name exactly these features: {', '.join(FEATURES)}")
        return self


@cache
def _tables() -> dict[str, Levels]:
    text = resources.files("kernel").joinpath("canary_levels.toml").read_text(encoding="utf-8")
    return {name: Levels.model_validate(table) for name, table in read_toml(text).items()}


def load_levels(model: str) -> Levels:
    """Levels calibrated for ``model``, or the defaults over all calibrated models."""
    tables = _tables()
    return tables.get(model, tables[FALLBACK])
