"""A few tokens of one answer through many layers at once: the compiled way, where the model's form allows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernel.compiled.team import team
from kernel.loop.config import LoopConfig
from kernel.loop.fronts import Norm, Product
from kernel.loop.model import Layer, View
from kernel.loop.products import Int4, Paired, float_bits
from kernel.weights.four_bits import BLOCK_COLUMNS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from kernel.loop.cache import KeyValues

FEW = 4  # tokens; with more it is computing that counts, not what stands between the products


class Narrow:
    """Works on layers whose products are all in four bits, or have four bits for few tokens.

    The same numbers as layer by layer, but for the order of additions.
    """

    def __init__(self, config: LoopConfig, layers: Sequence[Layer], few: int) -> None:
        import torch

        self._config, self._few = config, few
        self._layers = tuple(layers)  # they own the memory that the table points to
        self._table = torch.tensor([_addresses(layer) for layer in layers])
        self._inner = _four_bits(layers[0].down).columns
        self._team = team()

    @classmethod
    def of(cls, config: LoopConfig, layers: Sequence[Layer]) -> Narrow | None:
        """``None`` where a product has another form, or heads do not fill whole blocks."""
        few = [_few(product) for layer in layers for product in (layer.qkv, layer.out, layer.gate_up, layer.down)]
        fits = config.head_size % BLOCK_COLUMNS == 0
        return cls(config, layers, min(few)) if fits and all(few) else None

    def takes(self, state: Tensor, view: View) -> bool:
        """One answer, all of whose places lie in one store of plain float32."""
        import torch

        rows, new, _ = state.shape
        if rows != 1 or new > self._few or len(view.parts) != 1:
            return False
        part = view.parts[0]
        store = part.store
        return (
            part.written and part.sharing is None and store.rows == 1 and not store.keys.scales
            and store.keys.dtype == torch.float32
        )  # fmt: skip

    def run(self, state: Tensor, first: int, last: int, step: int, view: View) -> Tensor:
        """Layers ``first`` to ``last``: states (1, new, width)."""
        import torch

        from kernel.compiled.layers import COUNTERS, STAGES

        config, store, new = self._config, view.parts[0].store, state.shape[1]
        own = config.heads * config.head_size
        wide = own + 2 * config.key_heads * config.head_size
        widest = max(config.width, own, self._inner)
        state, stores = state.clone(), _stores(store, step)
        counters = torch.zeros((last - first) * STAGES * COUNTERS // 8, dtype=torch.int64)
        cosine, sine = view.turn
        scratch = (
            torch.empty(new * widest, dtype=torch.int8),
            torch.empty(new * widest // BLOCK_COLUMNS * 4),
            torch.empty(new * wide),
            torch.empty(new * own),
            torch.empty(new * config.width),
            torch.empty(new * 2 * self._inner),
            torch.empty(new * config.heads * (store.length + new)),
        )
        self._team.call(
            "narrow_layers", torch.get_num_threads(), counters.data_ptr(), first, last, new, self._table.data_ptr(),
            stores.data_ptr(), store.length, store.capacity, config.width, config.heads,
            config.key_heads, config.head_size, self._inner, float_bits(config.epsilon), cosine.data_ptr(),
            sine.data_ptr(), state.data_ptr(), *(part.data_ptr() for part in scratch),
        )  # fmt: skip
        return state


def _four_bits(product: Product) -> Int4:
    if isinstance(product, Paired):
        product = product.narrow
    if not isinstance(product, Int4):
        raise TypeError(f"{product} is not in four bits")
    return product


def _few(product: Product) -> int:
    """Up to how many tokens the product is computed in four bits."""
    if isinstance(product, Paired):
        return min(product.few, FEW) if isinstance(product.narrow, Int4) else 0
    return FEW if isinstance(product, Int4) else 0


def _addresses(layer: Layer) -> list[int]:
    """In the order of ``kernel.compiled.layers.LAYER``."""

    def norm(of: Norm | None) -> int:
        return of.weight.data_ptr() if of is not None else 0

    qkv, out, gate_up, down = (_four_bits(p).addresses for p in (layer.qkv, layer.out, layer.gate_up, layer.down))
    return [
        norm(layer.attention_norm), *qkv, *out, norm(layer.after_attention),
        norm(layer.feed_norm), *gate_up, *down, norm(layer.after_feed),
    ]  # fmt: skip


def _stores(store: KeyValues, step: int) -> torch.Tensor:
    """Where keys and values of each layer lie, (layers, 2)."""
    import torch

    slots = [store.slot(layer, step) for layer in range(store.config.layers)]
    return torch.tensor([[store.keys.numbers[s].data_ptr(), store.values.numbers[s].data_ptr()] for s in slots])
