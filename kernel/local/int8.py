"""Linear layers in eight-bit integers, for processors that multiply those much faster than floats.

Weights have one scale a row, made once by the converter; activations get one scale a token at run time, so that a token
with outliers (the first one always has some) costs only itself precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


def int8_linear(x: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """``x`` (..., in) float32, ``weight`` (out, in) int8, ``scale`` (out) float32; returns (..., out) float32."""
    import torch

    flat = x.reshape(-1, x.shape[-1])
    step = flat.abs().amax(dim=-1, keepdim=True).clamp_(min=1e-10).div_(127)
    sums = torch._int_mm((flat / step).round_().to(torch.int8), weight.t())
    result = sums.to(torch.float32).mul_(step).mul_(scale)
    if bias is not None:
        result += bias
    return result.view(*x.shape[:-1], -1)


def int8_classes() -> tuple[type[nn.Module], type[nn.Module]]:
    """The linear layer, and an embedding that is stored in bf16 and looked up as float32."""
    import torch
    from torch import nn

    class Int8Linear(nn.Module):  # type: ignore[misc]  # torch is not seen by the checker
        """Takes the place of ``nn.Linear``; its tensors are filled in by the loader."""

        def __init__(self, replaced: nn.Linear) -> None:
            super().__init__()
            rows = replaced.out_features
            self.register_buffer("weight", torch.empty(rows, replaced.in_features, dtype=torch.int8, device="meta"))
            self.register_buffer("weight_scale", torch.empty(rows, device="meta"))
            self.register_buffer("bias", torch.empty(rows, device="meta") if replaced.bias is not None else None)

        def forward(self, x: Tensor) -> Tensor:
            return int8_linear(x, self.weight, self.weight_scale, self.bias)

    class WideEmbedding(nn.Module):  # type: ignore[misc]  # torch is not seen by the checker
        """Rows of a bf16 table as float32."""

        def __init__(self, replaced: nn.Embedding) -> None:
            super().__init__()
            shape = (replaced.num_embeddings, replaced.embedding_dim)
            self.register_buffer("weight", torch.empty(shape, dtype=torch.bfloat16, device="meta"))

        def forward(self, numbers: Tensor) -> Tensor:
            return nn.functional.embedding(numbers, self.weight).float()

    return Int8Linear, WideEmbedding
