"""Builds a model from a converted folder: weights are mapped from the file and wrapped in products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kernel.engine.model.config import LoopConfig
from kernel.engine.model.decoder import ExitGate, Layer, LoopModel
from kernel.engine.model.fused_layers import FusedLayers
from kernel.engine.model.products import (
    FloatProduct,
    Int4Product,
    Int8Product,
    Nf4Product,
    PairedProduct,
    Product,
    RmsNorm,
)
from kernel.engine.runtime import release_pages
from ledger.errors import OuroError

if TYPE_CHECKING:
    from torch import Tensor


Tensors = Mapping[str, "Tensor"]
Make = Callable[[str], Product]


def read_config(folder: Path) -> LoopConfig:
    """The configuration stored in a converted folder."""
    return LoopConfig.model_validate_json((folder / "config.json").read_text(encoding="utf-8"))


def read_tensors(folder: Path) -> Tensors:
    """Tensors mapped from the file; pages are read on first use."""
    from safetensors.torch import load_file

    found: Tensors = load_file(folder / "model.safetensors")
    return found


def product_maker(
    tensors: Tensors, device: str = "cpu", *, whole: bool = False, nf4: bool = False, mapped: bool = False
) -> Make:
    """A function that makes products by name, in the form of their tensors.

    ``whole`` computes bf16 weights in float32, ``nf4`` quantises them to four bits by bitsandbytes. ``mapped``: the
    tensors are mapped from a file, so pages that a product has copied are released.
    """

    def make(name: str) -> Product:
        bias = tensors.get(f"{name}.bias")
        bias = bias.to(device) if bias is not None else None
        if f"{name}.int8" in tensors:
            product = Int8Product(tensors[f"{name}.int8"], tensors[f"{name}.scale"], bias)
            if mapped:
                release_pages(tensors[f"{name}.int8"])
            return product
        if f"{name}.int4" in tensors:
            return Int4Product(tensors[f"{name}.int4"], bias)
        weight = tensors[name if name != "head" or name in tensors else "embed"].to(device)
        if nf4 and name != "head":  # the head's scores lie close together: it keeps its precision
            return Nf4Product(weight, bias)
        return FloatProduct(weight.float() if whole else weight, bias)

    return make


def pair_makers(narrow: Make, wide: Make, few: int) -> Make:
    """Makes products in both forms, the first for up to ``few`` tokens at once."""
    return lambda name: PairedProduct(narrow(name), wide(name), few)


def assemble(config: LoopConfig, tensors: Tensors, make: Make, device: str = "cpu") -> LoopModel:
    """The model from small tensors (norms, embedding, gate) and products by name. Raises ``OuroError`` for a missing
    tensor.
    """

    def small(name: str) -> Tensor:
        return tensors[name].float().to(device)

    def norm(name: str) -> RmsNorm:
        return RmsNorm(small(name), config.epsilon)

    def layer(number: int) -> Layer:
        at = f"layers.{number}."
        return Layer(
            attention_norm=norm(f"{at}attention_norm"),
            qkv=make(f"{at}qkv"),
            out=make(f"{at}out"),
            feed_norm=norm(f"{at}feed_norm"),
            gate_up=make(f"{at}gate_up"),
            down=make(f"{at}down"),
            after_attention=norm(f"{at}after_attention") if config.sandwich else None,
            after_feed=norm(f"{at}after_feed") if config.sandwich else None,
        )

    table = tensors["embed"].to(device)

    def embed(tokens: Tensor) -> Tensor:
        from torch.nn.functional import embedding

        return embedding(tokens, table).float()

    try:
        layers = [layer(i) for i in range(config.layers)]
        model = LoopModel(
            config=config,
            embed=embed,
            layers=layers,
            norm=norm("norm"),
            head=make("head"),
            gate=ExitGate(small("gate.weight"), small("gate.bias")) if config.gate else None,
            device=device,
        )
    except KeyError as error:
        raise OuroError(f"The converted weights lack the tensor {error.args[0]!r}.") from error
    model.fused = FusedLayers.of(config, layers)
    return model
