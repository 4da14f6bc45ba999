"""Runs a few tokens of one answer through several layers in one compiled call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernel.engine.compiled.team import thread_team
from kernel.engine.model.config import LoopConfig
from kernel.engine.model.decoder import AttentionView, Layer
from kernel.engine.model.products import Int4Product, PairedProduct, Product, RmsNorm, float_bits
from kernel.weights.four_bits import BLOCK_COLUMNS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from kernel.engine.cache.key_values import KeyValues

FEW = 4  # tokens; with more the products dominate, not the overhead between them


class FusedLayers:
    """For layers whose products are all in four bits, or have a four-bit form for few tokens.

    The results are those of the layers one by one, except for the order of additions.
    """

    def __init__(self, config: LoopConfig, layers: Sequence[Layer], few: int) -> None:
        import torch

        self._config, self._few = config, few
        self._layers = tuple(layers)  # keeps alive the memory that the table points to
        self._table = torch.tensor([_addresses(layer) for layer in layers])
        self._inner = _four_bit_product(layers[0].down).columns
        self._team = thread_team()

    @classmethod
    def of(cls, config: LoopConfig, layers: Sequence[Layer]) -> FusedLayers | None:
        """None when a product has another form, or heads do not fill whole blocks."""
        few = [
            _max_tokens(product) for layer in layers for product in (layer.qkv, layer.out, layer.gate_up, layer.down)
        ]
        fits = config.head_size % BLOCK_COLUMNS == 0
        return cls(config, layers, min(few)) if fits and all(few) else None

    def takes(self, state: Tensor, view: AttentionView) -> bool:
        """True for one answer whose places are all in one unshared float32 store."""
        import torch

        rows, new, _ = state.shape
        if rows != 1 or new > self._few or len(view.parts) != 1:
            return False
        part = view.parts[0]
        store = part.store
        return (
            part.written
            and part.sharing is None
            and store.rows == 1
            and not store.keys.scales
            and store.keys.dtype == torch.float32
        )

    def run(self, state: Tensor, first: int, last: int, step: int, view: AttentionView) -> Tensor:
        """Layers ``first`` to ``last`` - 1: states (1, new, width)."""
        import torch

        from kernel.engine.compiled.layers import ARGUMENTS, COUNTERS, STAGES

        config, store, new = self._config, view.parts[0].store, state.shape[1]
        own = config.heads * config.head_size
        wide = own + 2 * config.key_heads * config.head_size
        widest = max(config.width, own, self._inner)
        cosine, sine = view.turn
        used = {
            "counters": torch.zeros((last - first) * STAGES * COUNTERS // 8, dtype=torch.int64),
            "layers": self._table,
            "stores": _stores(store, step),
            "cosine": cosine,
            "sine": sine,
            "state": state.clone(),
            "numbers": torch.empty(new * widest, dtype=torch.int8),
            "scales": torch.empty(new * widest // BLOCK_COLUMNS * 4),
            "qkv": torch.empty(new * wide),
            "mixed": torch.empty(new * own),
            "added": torch.empty(new * config.width),
            "gate_up": torch.empty(new * 2 * self._inner),
            "scores": torch.empty(new * config.heads * (store.length + new)),
        }
        given = {
            "first": first,
            "last": last,
            "tokens": new,
            "length": store.length,
            "capacity": store.capacity,
            "width": config.width,
            "heads": config.heads,
            "key_heads": config.key_heads,
            "head_size": config.head_size,
            "inner": self._inner,
            "epsilon": float_bits(config.epsilon),
        } | {name: tensor.data_ptr() for name, tensor in used.items()}
        self._team.call("narrow_layers", torch.get_num_threads(), *(given[name] for name in ARGUMENTS[1:]))
        return used["state"]


def _four_bit_product(product: Product) -> Int4Product:
    """The four-bit form of a product."""
    if isinstance(product, PairedProduct):
        product = product.narrow
    if not isinstance(product, Int4Product):
        raise TypeError(f"{product} is not in four bits")
    return product


def _max_tokens(product: Product) -> int:
    """Maximum number of tokens that the product computes in four bits; 0 without that form."""
    if isinstance(product, PairedProduct):
        return min(product.few, FEW) if isinstance(product.narrow, Int4Product) else 0
    return FEW if isinstance(product, Int4Product) else 0


def _addresses(layer: Layer) -> list[int]:
    """One row of the table of layers."""
    from kernel.engine.compiled.layers import LAYER

    found = {}
    for name in ("attention_norm", "after_attention", "feed_norm", "after_feed"):
        norm: RmsNorm | None = getattr(layer, name)
        found[name] = norm.weight.data_ptr() if norm is not None else 0
    for name in ("qkv", "out", "gate_up", "down"):
        found[name], found[f"{name}_bias"] = _four_bit_product(getattr(layer, name)).addresses
    return [found[name] for name in LAYER]


def _stores(store: KeyValues, step: int) -> torch.Tensor:
    """Addresses of keys and values of each layer, (layers, 2)."""
    import torch

    slots = [store.slot(layer, step) for layer in range(store.config.layers)]
    return torch.tensor([[store.keys.numbers[s].data_ptr(), store.values.numbers[s].data_ptr()] for s in slots])
