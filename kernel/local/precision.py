"""Which arithmetic is fastest on this processor: a short trial with matrices of the model's own size.

Processors differ by a factor of ten here. Those with bf16 matrix units are best in bf16; those without it compute
bf16 slower than float32, and eight-bit integers several times faster than either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["bf16", "fp32", "int8"]

PREFILL_ROWS, DECODE_ROWS = 256, 16
# Fewer bits must pay for themselves: int8 is taken when it is this much faster than the better of the others.
INT8_WORTH = 1.5
HOPELESS = 10


@dataclass(frozen=True, slots=True)
class Trial:
    """Milliseconds for one matrix product, ``prefill`` with many rows and ``decode`` with few."""

    precision: Precision
    prefill: float
    decode: float

    @property
    def cost(self) -> float:
        """An infill request is about as many prefill products of this size as decode steps."""
        return self.prefill + 4 * self.decode


def pick(trials: list[Trial], *, fits_fp32: bool) -> tuple[Precision, str]:
    """The choice, and a sentence that says why."""
    cost = {t.precision: t.cost for t in trials if fits_fp32 or t.precision != "fp32"}
    floats: Precision = min((p for p in cost if p != "int8"), key=cost.__getitem__, default="bf16")
    best: Precision = floats
    if cost.get("int8", float("inf")) * INT8_WORTH < cost.get(floats, float("inf")):
        best = "int8"
    shown = ", ".join(f"{t.precision} {t.prefill:.1f}/{t.decode:.1f} ms" for t in trials)
    return best, f"{best}: a trial of many/few rows took {shown}."


def run_trials(columns: int, rows: int) -> list[Trial]:
    """Under two seconds. ``rows`` by ``columns`` is the shape of the largest weight of a layer."""
    import torch

    from kernel.local.int8 import int8_linear

    weight = torch.randn(rows, columns)
    narrow, whole = weight.bfloat16(), (weight * 40).clamp_(-127, 127).to(torch.int8)
    scale = torch.full((rows,), 0.025)
    ways: dict[Precision, Callable[[Tensor], Tensor]] = {
        "fp32": lambda x: torch.nn.functional.linear(x, weight),
        "bf16": lambda x: torch.nn.functional.linear(x.bfloat16(), narrow),
        "int8": lambda x: int8_linear(x, whole, scale, None),
    }
    trials: list[Trial] = []
    with torch.inference_mode():
        many, few = torch.randn(PREFILL_ROWS, columns), torch.randn(DECODE_ROWS, columns)
        for name, way in ways.items():
            decode = _best_ms(way, few)
            if trials and decode > HOPELESS * min(t.decode for t in trials):
                continue  # the processor has no instructions for it: many rows would take seconds
            trials.append(Trial(name, _best_ms(way, many), decode))
    return trials


def _best_ms(way: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """The quicker of two runs: a neighbour on the machine only ever makes one slower."""
    took = []
    for _ in range(2):
        start = time.perf_counter()
        way(x)
        took.append(time.perf_counter() - start)
    return min(took) * 1000
