"""Matrix products with weights in the forms that processors are quick with.

Every product takes float32 states (..., in) and gives float32 (..., out); what happens in between is its own business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.loop.model import Product

if TYPE_CHECKING:
    from torch import Tensor


class Plain:
    """Weights (out, in) as floats: float32, or bf16 where the processor has instructions for it."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self._weight = weight
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        from torch.nn.functional import linear

        out = linear(x.to(self._weight.dtype), self._weight).float()
        return out if self._bias is None else out + self._bias


class Int8:
    """Integers on both sides: weights have one scale a row, states one scale a token, found at run time.

    A token with outliers (the first one always has some) costs only itself precision. The states are unsigned with a
    zero point of 128, since that is the kind of product that processors have an instruction for.
    """

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None = None) -> None:
        """``weight`` (out, in) int8 with rows ``scale`` (out) float32; it is copied into the processor's own order."""
        import torch

        self._packed = torch.ops.onednn.qlinear_prepack(weight, None)
        self._scale = scale.clone()
        self._zero = torch.zeros(len(scale), dtype=torch.int32)
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        import torch

        flat = x.reshape(-1, x.shape[-1])
        step = flat.abs().amax(dim=-1, keepdim=True).clamp_(min=1e-10).div_(127)
        numbers = (flat / step).round_().add_(128).to(torch.uint8)
        out = torch.ops.onednn.qlinear_pointwise(
            numbers, 1.0, 128, self._packed, self._scale, self._zero, None, 1.0, 0, torch.float32, "none", [], ""
        ).mul_(step)
        if self._bias is not None:
            out += self._bias
        return out.view(*x.shape[:-1], -1)


GROUP = 32  # columns that share a scale and a zero in four bits


class Int4:
    """Four-bit weights, read as they are: the fewest bytes for one token, slow for many."""

    def __init__(self, packed: Tensor, scales: Tensor, bias: Tensor | None = None) -> None:
        """``packed`` in the processor's own order, ``scales`` (in / 32, out, 2) bf16: scale and zero."""
        self._packed = packed
        self._scales = scales
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        import torch

        flat = x.reshape(-1, x.shape[-1]).bfloat16()
        out = torch.ops.aten._weight_int4pack_mm_for_cpu(flat, self._packed, GROUP, self._scales).float()
        if self._bias is not None:
            out += self._bias
        return out.view(*x.shape[:-1], -1)


class Paired:
    """The same weights in two forms: one for up to ``few`` tokens at once, the other for more."""

    def __init__(self, narrow: Product, wide: Product, few: int) -> None:
        self._narrow, self._wide, self._few = narrow, wide, few

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.numel() // x.shape[-1]
        return self._narrow(x) if rows <= self._few else self._wide(x)


class Nf4:
    """Four bits on a GPU, by bitsandbytes: normal-float codes with a scale for each 64 weights."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """``weight`` (out, in) bf16, on its device."""
        from bitsandbytes.functional import quantize_4bit

        self._packed, self._state = quantize_4bit(weight, quant_type="nf4", compress_statistics=False)
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        from bitsandbytes import matmul_4bit

        out = matmul_4bit(x.bfloat16(), self._packed.t(), quant_state=self._state).float()
        return out if self._bias is None else out + self._bias
