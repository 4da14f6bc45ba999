"""What is normal for a model, and how far from it is too far. ``bench/canary/calibrate.py`` writes the file."""

from __future__ import annotations

from functools import cache
from importlib import resources

from pydantic import Field, model_validator

from kernel.canary.features import FEATURES
from ledger.parsers.toml import read_toml
from ledger.vocabulary import Frozen

FALLBACK = "default"
TEXT = "text"  # the table for finished text, cut into word-like pieces


class Baseline(Frozen):
    """One feature over clean runs, and the log-odds that one deviation above the mean adds."""

    mean: float
    deviation: float = Field(gt=0)
    weight: float = Field(ge=0)


class Levels(Frozen):
    """``proximity`` is a logistic function of ``bias`` and the weighted z-scores; at or over ``alarm`` for ``patience``
    tokens in a row the generation counts as collapsed."""

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
    """The levels calibrated for ``model``, or those over all models that were looked at."""
    tables = _tables()
    return tables.get(model, tables[FALLBACK])
