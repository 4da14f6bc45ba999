"""Chooses the form of the weights that is fastest on this processor, by a short trial with matrices of the model's own
size. The result is kept in ``trials.json`` next to the weights, so that a busy hour does not change the choice.

Processors differ by a factor of ten here. Those with bf16 matrix units are fastest in bf16; others compute bf16 slower
than float32, and eight-bit integers several times faster than either. A single token is bound by the bytes that are
read, so fewer bits win there if the processor unpacks them fast enough. A form with wrong results is rejected.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kernel.engine.model.products import FloatProduct, Int4Product, Int8Product, Product, state_levels
from kernel.weights.four_bits import GROUP, MIDDLE, FourBitCodes, fits_blocks, pack_blocks
from kernel.weights.rounding import to_bf16
from ledger.parsers.json import read_json

if TYPE_CHECKING:
    from torch import Tensor


Arithmetic = Literal["fp32", "bf16", "int8", "int4"]
Quantise = Literal["auto", "none", "fp32", "int8", "int4"]

ROWS = (1, 2, 4, 16, 256)  # tokens at once: one answer, drafts, a batch of answers, a prompt
FEW = 4
WORTH_FEWER_BITS = 1.5  # int8 costs precision: it must be this much faster than the better float form
WORTH_A_SECOND_FORM = 1.15  # a second form costs memory
HOPELESS = 10  # this many times slower with few rows: not tried with many
WRONG = 0.15  # maximum error relative to the result; rounding gives 0.09 (seven bits), overflowing sums 0.3

COPIES = 5  # copies of each matrix, used in turn: a model's weights never come from the cache

Trial = Mapping[int, float]  # milliseconds of one product by rows
FILE = "trials.json"


@dataclass(frozen=True, slots=True)
class FormPlan:
    """``narrow``: form for up to ``few`` tokens at once, when it differs from ``wide``."""

    wide: Arithmetic
    narrow: Arithmetic | None
    few: int
    why: str

    @property
    def arithmetics(self) -> tuple[Arithmetic, ...]:
        return (self.wide,) if self.narrow is None else (self.wide, self.narrow)


def plan_forms(
    quantise: Quantise, trials: Mapping[Arithmetic, Trial], *, fits: Callable[[tuple[Arithmetic, ...]], bool]
) -> FormPlan:
    """The chosen forms, with a sentence that explains the choice. ``fits``: whether the weights in these forms fit into
    memory.
    """
    if quantise in ("fp32", "int8", "int4"):
        return FormPlan(quantise, None, 0, f"{quantise}: the owner's setting")
    both: tuple[Arithmetic, Arithmetic] = ("fp32", "bf16")
    floats = [a for a in both if a in trials and fits((a,))] or ["bf16"]
    wide = min(floats, key=lambda a: _cost(trials.get(a)))
    if quantise == "none":
        return FormPlan(wide, None, 0, f"{wide}: not quantised, the owner's setting{_describe(trials)}")
    if "int8" in trials and _cost(trials["int8"]) * WORTH_FEWER_BITS < _cost(trials.get(wide)):
        wide = "int8"
    few = 0
    if "int4" in trials and wide in trials and fits((wide, "int4")):
        quicker = [n for n in ROWS if n <= FEW and trials["int4"][n] * WORTH_A_SECOND_FORM < trials[wide][n]]
        few = max((n for n in quicker if n == 1 or n // 2 in quicker), default=0)
    if few:
        return FormPlan(wide, "int4", few, f"int4 for up to {few} tokens at once, else {wide}{_describe(trials)}")
    return FormPlan(wide, None, 0, f"{wide}{_describe(trials)}")


def _cost(trial: Trial | None) -> float:
    """Time of a typical infill request: its prompt products cost about as much as its decode steps."""
    return trial[256] + 4 * trial[16] if trial is not None and 256 in trial else float("inf")


def _describe(trials: Mapping[Arithmetic, Trial]) -> str:
    if not trials:
        return ""
    times = (f"{name} {'/'.join(f'{trial[n]:.1f}' for n in ROWS if n in trial)}" for name, trial in trials.items())
    return f": a trial of {'/'.join(map(str, ROWS))} rows took {', '.join(times)} ms"


def run_trials(columns: int, rows: int) -> dict[Arithmetic, Trial]:
    """Takes some seconds. ``rows`` by ``columns`` is the shape of a large weight of the model."""
    import torch

    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0)) / columns**0.5
    found: dict[Arithmetic, Trial] = {}
    with torch.inference_mode():
        x = torch.randn(max(ROWS), columns)
        for name, make, near in _candidates(weight):
            products = [make() for _ in range(COPIES)]
            wanted = x[:4] @ near.t()
            if float((products[0](x[:4]) - wanted).abs().max() / wanted.std()) <= WRONG:
                found[name] = _time_rows(products, x, found)
    return found


def _time_rows(products: Sequence[Product], x: Tensor, others: Mapping[Arithmetic, Trial]) -> Trial:
    """Times increasing numbers of rows while the form is competitive. With many rows computing dominates, not
    reading.
    """
    trial: dict[int, float] = {}
    for count in ROWS:
        trial[count] = _best_ms(products if count <= FEW else products[:1], x[:count])
        quickest = min((other[count] for other in others.values() if count in other), default=trial[count])
        if trial[count] > HOPELESS * quickest:
            break
    return trial


def _candidates(weight: Tensor) -> Iterator[tuple[Arithmetic, Callable[[], Product], Tensor]]:
    """For each form: a function that makes a product, and the numbers that its weights represent."""
    import torch

    yield "fp32", lambda: FloatProduct(weight.clone()), weight
    yield "bf16", lambda: FloatProduct(weight.bfloat16()), weight.bfloat16().float()
    scale = weight.abs().amax(dim=1) / 127
    whole = (weight / scale[:, None]).round_().to(torch.int8)
    yield "int8", lambda: Int8Product(whole, scale), whole * scale[:, None]
    rows, columns = weight.shape
    if fits_blocks(rows, columns):
        step = torch.tensor(float(weight.abs().max()) / MIDDLE).bfloat16().float()
        codes = (weight / step + MIDDLE).round_().clamp_(0, 15)
        scales = step.expand(rows, columns // GROUP).numpy()
        blocks = torch.from_numpy(
            pack_blocks(FourBitCodes(codes.to(torch.uint8).numpy(), to_bf16(scales), to_bf16(0 * scales)))
        )
        yield "int4", lambda: Int4Product(blocks.clone()), (codes - MIDDLE) * step


def _best_ms(products: Sequence[Product], x: Tensor) -> float:
    """The faster of two rounds: other processes on the machine only ever make one slower."""
    took = []
    for _ in range(2):
        start = time.perf_counter()
        for product in products:
            product(x)
        took.append((time.perf_counter() - start) / len(products))
    return min(took) * 1000


def machine_trials(
    folder: Path, columns: int, rows: int, threads: int, log: Callable[[str], None]
) -> dict[Arithmetic, Trial]:
    """Trial results for this processor, from the file or measured now. An unreadable file is replaced."""
    import torch

    made_by = f"torch {torch.__version__}, numba {version('numba')}"
    # The processor's name alone is ambiguous.
    able = f"{torch.backends.cpu.get_cpu_capability()}, {state_levels()} levels"
    key = f"{_processor()}, {able} / {made_by} / {threads} threads / {rows}x{columns}"
    path = folder / FILE
    known: dict[str, dict[Arithmetic, dict[str, float]]] = {}
    with suppress(OSError, ValueError):
        known = read_json(path.read_text(encoding="utf-8"))
    if key in known:
        return {name: {int(n): ms for n, ms in trial.items()} for name, trial in known[key].items()}
    log(f"trying which arithmetic is fastest here ({rows} by {columns})")
    found = run_trials(columns, rows)
    known[key] = {name: {str(n): round(ms, 3) for n, ms in trial.items()} for name, trial in found.items()}
    with suppress(OSError):  # a read-only folder costs a trial at every load, nothing else
        path.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return found


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown processor"
