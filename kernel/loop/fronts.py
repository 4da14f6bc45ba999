"""What is done to states in front of a product. Quantised products do it while they quantise, in one go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class AsIs:
    def __call__(self, x: Tensor) -> Tensor:
        return x


@dataclass(frozen=True, slots=True)
class Norm:
    """Brings the root mean square to 1, then multiplies with ``weight`` (width,), float32."""

    weight: Tensor
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        from torch.nn.functional import rms_norm

        return rms_norm(x, self.weight.shape, self.weight, self.epsilon)


@dataclass(frozen=True, slots=True)
class Gated:
    """``silu`` of the first half of the last dimension times the second half."""

    def __call__(self, x: Tensor) -> Tensor:
        from torch.nn.functional import silu

        gate, up = x.chunk(2, dim=-1)
        return silu(gate).mul_(up)


Front = AsIs | Norm | Gated
AS_IS, GATED = AsIs(), Gated()


class Product(Protocol):
    """A matrix product: states (..., in) float32 to (..., out) float32, with ``front`` in between.

    ``onto`` (..., out) is added. States that are gated may be overwritten.
    """

    def __call__(self, x: Tensor, front: Front = AS_IS, onto: Tensor | None = None) -> Tensor: ...
