"""Rotary positions: each pair of numbers of a head is turned by an angle that grows with the position."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kernel.loop.config import Rope

if TYPE_CHECKING:
    from torch import Tensor


def frequencies(rope: Rope, head_size: int) -> Tensor:
    """Radians a position, (head_size / 2), float32."""
    import torch

    plain = rope.theta ** -(torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
    if rope.kind == "default":
        return plain
    if rope.kind == "linear":
        return plain / rope.factor
    waves = 2 * math.pi / plain
    smooth = (rope.original / waves - rope.low) / (rope.high - rope.low)
    return torch.lerp(plain / rope.factor, plain, smooth.clamp(0, 1))


def turns(speed: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine for ``positions`` (rows, new): each (rows, 1, new, head_size), float32."""
    import torch

    angles = positions[:, None, :, None].float() * speed
    both = torch.cat((angles, angles), dim=-1)
    return both.cos(), both.sin()


def turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """``x`` (rows, heads, new, head_size) turned; the halves of a head are the two numbers of its pairs."""
    import torch

    cosine, sine = turn
    left, right = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-right, left), dim=-1) * sine
