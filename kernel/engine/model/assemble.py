"""A converted folder becomes a model: weights are mapped from the file and put in the forms they are computed with."""

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
    return LoopConfig.model_validate_json((folder / "config.json").read_text(encoding="utf-8"))


def read_tensors(folder: Path) -> Tensors:
    """Mapped from the file: nothing is read before it is used."""
    from safetensors.torch import load_file

    found: Tensors = load_file(folder / "model.safetensors")
    return found


def product_maker(
    tensors: Tensors, device: str = "cpu", *, whole: bool = False, nf4: bool = False, mapped: bool = False
) -> Make:
    """Products by name, in the form that the tensors have.

    ``whole`` computes bf16 weights in float32, ``nf4`` puts them into four bits by bitsandbytes. ``mapped``: they lie
    in a file, and what is copied out of it need not stay in memory twice.
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
        if nf4 and name != "head":  # the head decides between neighbours: it keeps its bits
            return Nf4Product(weight, bias)
        return FloatProduct(weight.float() if whole else weight, bias)

    return make


def pair_makers(narrow: Make, wide: Make, few: int) -> Make:
    """Both forms, the first for up to ``few`` tokens at once."""
    return lambda name: PairedProduct(narrow(name), wide(name), few)


def assemble(config: LoopConfig, tensors: Tensors, make: Make, device: str = "cpu") -> LoopModel:
    """The model from small tensors (norms, embedding, gate) and products by name."""

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
    model.quick = FusedLayers.of(config, layers)
    return model
