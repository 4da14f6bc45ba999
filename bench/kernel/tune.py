"""The best settings of llama.cpp on this machine, searched for once for every model, and told.

One stream and many requests are tuned apart, so that neither pays for the other. Each trial is a fresh process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

Setting = dict[str, Any]
Trial = tuple[Setting, float, str]  # with its score, and why there is none

SOLO: Setting = {"slots": 1, "flash": "on", "ubatch": 512, "unified": False, "repack": True, "together": 1}
MANY: Setting = {**SOLO, "slots": 8}
Measure = Callable[[str, Setting], dict[str, Any]]  # kind and setting to what the child delivered


def tuned(measure: Measure, say: Callable[[str], None]) -> dict[str, Any]:
    """``solo`` and ``many``, each with all its trials."""
    solo = Search("solo", measure, say)
    for flash in ("on", "off"):
        for ubatch in (512, 2048):
            solo.try_out({**SOLO, "flash": flash, "ubatch": ubatch})
    solo.vary(repack=[False])

    many = Search("many", measure, say)
    base = {**MANY, "repack": solo.best["repack"]}
    many.try_out(base)
    many.vary(together=[4])  # answers that one request asks for: its prompt is computed once
    many.vary(slots=[4, 16, 32])
    many.vary(unified=[True])
    many.vary(ubatch=[2048])
    many.vary(flash=["off"])
    return {"solo": solo.best, "many": many.best, "trials": {"solo": solo.trials, "many": many.trials}}


class Search:
    """Trials of one kind of work, and the best so far."""

    def __init__(self, kind: str, measure: Measure, say: Callable[[str], None]) -> None:
        self.trials: list[Trial] = []
        self._kind, self._measure, self._say = kind, measure, say

    @property
    def best(self) -> Setting:
        return max(self.trials, key=lambda trial: trial[1])[0]

    def vary(self, **fields: Iterable[Any]) -> None:
        """Change one thing of the best."""
        for name, values in fields.items():
            best = self.best
            for value in values:
                self.try_out({**best, name: value})

    def try_out(self, setting: Setting) -> None:
        result = self._measure(self._kind, setting)
        score = score_of(result)
        self.trials.append((setting, score, str(result.get("error", ""))[-200:]))
        self._say(f"llama.cpp {self._kind} {setting}: {score:.2f}{' ' + self.trials[-1][2] if not score else ''}")


def score_of(result: dict[str, Any]) -> float:
    """Candidates a second, or the geometric mean of the rates of prompts and of decoding; 0 for a failure."""
    if "error" in result:
        return 0.0
    if "infill" in result:
        return float(result["infill"])
    rates = [*result["prefill"].values(), result["decode"]]
    return math.exp(sum(math.log(rate) for rate in rates) / len(rates))
