"""Matrix products with weights in several forms, and the transforms applied to their input.

Every product takes float32 states (..., in) and returns float32 (..., out). Quantised products apply the input
transform while they quantise, in one pass over the states.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Protocol

from kernel.engine import compiled as kinds
from kernel.engine.compiled.team import ThreadTeam, thread_team
from kernel.weights.four_bits import BLOCK_COLUMNS, BLOCK_ROWS

if TYPE_CHECKING:
    from torch import Tensor

ONE_THREAD = 8192  # numbers that one thread quantises in about the time it takes to start a second one


@dataclass(frozen=True, slots=True)
class IdentityTransform:
    """No transform."""

    def __call__(self, x: Tensor) -> Tensor:
        return x


@dataclass(frozen=True, slots=True)
class RmsNorm:
    """Scales the root mean square to 1, then multiplies by ``weight`` (width,), float32."""

    weight: Tensor
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        from torch.nn.functional import rms_norm

        return rms_norm(x, self.weight.shape, self.weight, self.epsilon)


@dataclass(frozen=True, slots=True)
class SiluGate:
    """``silu`` of the first half of the last dimension times the second half."""

    def __call__(self, x: Tensor) -> Tensor:
        from torch.nn.functional import silu

        gate, up = x.chunk(2, dim=-1)
        return silu(gate).mul_(up)


InputTransform = IdentityTransform | RmsNorm | SiluGate
IDENTITY, SILU_GATE = IdentityTransform(), SiluGate()


class Product(Protocol):
    """A matrix product: states (..., in) float32 to (..., out) float32, with ``front`` applied to the states first.

    ``onto`` (..., out) is added to the result. The input of ``SiluGate`` may be overwritten.
    """

    def __call__(self, x: Tensor, front: InputTransform = IDENTITY, onto: Tensor | None = None) -> Tensor: ...


class FloatProduct:
    """Weights (out, in) as floats: float32, or bf16 where the processor has instructions for it."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self._weight = weight
        self._bias = bias

    def __call__(self, x: Tensor, front: InputTransform = IDENTITY, onto: Tensor | None = None) -> Tensor:
        from torch.nn.functional import linear

        out = linear(front(x).to(self._weight.dtype), self._weight).float()
        out = out if self._bias is None else out + self._bias
        return out if onto is None else out + onto


@cache
def state_levels() -> int:
    """Quantisation levels of a state on each side of zero: 127, or 63 on processors without VNNI.

    Those add two byte products in sixteen bits, which would overflow with eight-bit states; seven-bit states cost
    precision there, and their sums are exact.
    """
    import torch

    states, weight = torch.full((1, 64), 255, dtype=torch.uint8), torch.full((4, 64), 127, dtype=torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    found = _onednn_product(states, 0, packed, torch.ones(4), torch.zeros(4, dtype=torch.int32))
    return 127 if bool((found == 64 * 255 * 127).all()) else 63


def _onednn_product(states: Tensor, zero_point: int, packed: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """oneDNN's product of uint8 states (rows, in) with packed int8 weights: float32 (rows, out).

    ``scale`` (out) and ``zero`` (out) are those of the weights; the states have the scale 1 and ``zero_point``.
    """
    import torch

    # No bias, float32 output, no operation after the product.
    options: tuple[object, ...] = (None, 1.0, 0, torch.float32, "none", [], "")
    out: Tensor = torch.ops.onednn.qlinear_pointwise(states, 1.0, zero_point, packed, scale, zero, *options)
    return out


class Int8Product:
    """Integers on both sides: weights have one scale a row, states one scale a token, computed at run time.

    A token with outliers (the first one always has some) loses precision alone. States are unsigned with a zero point
    in the middle, since processors have an instruction for that product.
    """

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None = None, levels: int | None = None) -> None:
        """``weight`` (out, in) int8 with ``scale`` (out) float32 per row; it is copied into the processor's own order.

        ``levels``: of a state on each side of zero, at most 127; by default those of this processor.
        """
        import torch

        self._levels = levels or state_levels()
        self._columns = weight.shape[1]
        self._packed = torch.ops.onednn.qlinear_prepack(weight, None)
        self._scale = scale.clone()
        self._zero = torch.zeros(len(scale), dtype=torch.int32)
        self._bias = bias
        self._team = thread_team()

    def __call__(self, x: Tensor, front: InputTransform = IDENTITY, onto: Tensor | None = None) -> Tensor:
        import torch

        flat, rows = _flatten_rows(x)
        numbers = torch.empty(rows, self._columns, dtype=torch.uint8)
        step = torch.empty(rows, 1)
        _quantise_states("rows_by_token", self._team, flat, front, numbers, step, self._levels)
        out = _onednn_product(numbers, self._levels + 1, self._packed, self._scale, self._zero).view(*x.shape[:-1], -1)
        step = step.view(*x.shape[:-1], 1)
        if onto is not None:
            out = torch.addcmul(onto, out, step)
            return out if self._bias is None else out.add_(self._bias)
        return out.mul_(step) if self._bias is None else torch.addcmul(self._bias, out, step, out=out)


class Int4Product:
    """Four-bit weights, computed from their stored form: the fewest bytes for one token, slower for many."""

    def __init__(self, blocks: Tensor, bias: Tensor | None = None) -> None:
        """``blocks`` (out / 4, in / 64, 160) uint8: ``kernel.weights.four_bits``."""
        self._blocks = blocks
        self._bias = bias
        self._team = thread_team()

    @property
    def columns(self) -> int:
        """Number of input columns."""
        return int(self._blocks.shape[1]) * BLOCK_COLUMNS

    @property
    def addresses(self) -> tuple[int, int]:
        """Addresses of the weights and of the bias (0 without one); valid as long as this product lives."""
        return self._blocks.data_ptr(), self._bias.data_ptr() if self._bias is not None else 0

    def __call__(self, x: Tensor, front: InputTransform = IDENTITY, onto: Tensor | None = None) -> Tensor:
        import torch

        flat, rows = _flatten_rows(x)
        blocks, pairs, _ = self._blocks.shape
        weights, bias = self.addresses
        numbers = torch.empty(rows, pairs * BLOCK_COLUMNS, dtype=torch.int8)
        scales = torch.empty(rows, pairs, 4)
        _quantise_states("rows_by_group", self._team, flat, front, numbers, scales)
        out = torch.empty(rows, blocks * BLOCK_ROWS)
        memory = (numbers.data_ptr(), scales.data_ptr(), out.data_ptr())
        self._team.call("four_bit_product", torch.get_num_threads(), weights, blocks, pairs, rows, *memory, bias)
        out = out.view(*x.shape[:-1], -1)
        return out if onto is None else out.add_(onto)


def _flatten_rows(x: Tensor) -> tuple[Tensor, int]:
    """States as contiguous rows, and their number."""
    flat = x.reshape(-1, x.shape[-1]).contiguous()
    return flat, flat.shape[0]


def _quantise_states(
    function: str, team: ThreadTeam, states: Tensor, front: InputTransform, numbers: Tensor, scales: Tensor, *more: int
) -> None:
    """Writes the transformed states into ``numbers`` (rows, columns) and their ``scales``."""
    import torch

    kind, weight, epsilon = kinds.AS_IS, 0, 0
    if isinstance(front, RmsNorm):
        kind, weight, epsilon = kinds.NORMED, front.weight.data_ptr(), float_bits(front.epsilon)
    elif isinstance(front, SiluGate):
        kind = kinds.GATED
    rows, columns = numbers.shape
    threads = torch.get_num_threads() if rows * columns > ONE_THREAD else 1
    memory = (states.data_ptr(), weight, epsilon, numbers.data_ptr(), scales.data_ptr())
    team.call(function, threads, kind, rows, columns, *memory, *more)


@lru_cache
def float_bits(number: float) -> int:
    """The bits of a float32 as a signed integer."""
    found: int = struct.unpack("<i", struct.pack("<f", number))[0]
    return found


class PairedProduct:
    """The same weights in two forms: one for up to ``few`` tokens at once, the other for more."""

    def __init__(self, narrow: Product, wide: Product, few: int) -> None:
        self.narrow, self.few = narrow, few
        self._wide = wide

    def __call__(self, x: Tensor, front: InputTransform = IDENTITY, onto: Tensor | None = None) -> Tensor:
        rows = x.numel() // x.shape[-1]
        return self.narrow(x, front, onto) if rows <= self.few else self._wide(x, front, onto)


class Nf4Product:
    """Four bits on a GPU, by bitsandbytes: normal-float codes with one scale per 64 weights."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """``weight`` (out, in) bf16, on its device."""
        from bitsandbytes.functional import quantize_4bit

        self._packed, self._state = quantize_4bit(weight, quant_type="nf4", compress_statistics=False)
        self._bias = bias

    def __call__(self, x: Tensor, front: InputTransform = IDENTITY, onto: Tensor | None = None) -> Tensor:
        from bitsandbytes import matmul_4bit

        out = matmul_4bit(front(x).bfloat16(), self._packed.t(), quant_state=self._state).float()
        out = out if self._bias is None else out + self._bias
        return out if onto is None else out + onto
