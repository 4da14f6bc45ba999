"""What the processor at hand cannot do."""

from __future__ import annotations

from functools import cache


@cache
def saturates() -> bool:
    """Whether sums of two eight-bit products overflow, as on processors without VNNI: int8 is not taken there."""
    import torch

    states, weight = torch.full((1, 64), 255, dtype=torch.uint8), torch.full((4, 64), 127, dtype=torch.int8)
    found = torch.ops.onednn.qlinear_pointwise(
        states, 1.0, 0, torch.ops.onednn.qlinear_prepack(weight, None), torch.ones(4),
        torch.zeros(4, dtype=torch.int32), None, 1.0, 0, torch.float32, "none", [], "",
    )  # fmt: skip
    return bool((found != 64 * 255 * 127).any())
