"""Published weights in any file format: the expected tensors, and the interface from which the converter reads them."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kernel.engine.model.config import OURO_PARAMETERS, OURO_VOCABULARY, OURO_WIDTH, LoopConfig
from ledger.errors import OuroError

if TYPE_CHECKING:
    from kernel.weights.four_bits import FourBitCodes
    from kernel.weights.rounding import Floats


Shapes = dict[str, tuple[int, ...]]

EMBEDDING, HEAD, FINAL_NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
GATE = "model.early_exit_gate"
_SHOWN = 3


def published_shapes(config: LoopConfig) -> Shapes:
    """Names and shapes of all tensors in a checkpoint of this decoder, named as in Hugging Face's classes.

    An output head that is tied to the embedding has no tensor of its own.
    """
    shapes: Shapes = {EMBEDDING: (config.vocabulary, config.width), FINAL_NORM: (config.width,)}
    for layer in range(config.layers):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in _layer_shapes(config).items()}
    if config.gate:
        shapes |= {f"{GATE}.weight": (1, config.width), f"{GATE}.bias": (1,)}
    if not config.tied:
        shapes[HEAD] = (config.vocabulary, config.width)
    return shapes


def _layer_shapes(config: LoopConfig) -> Shapes:
    width, inner = config.width, config.inner
    rows = {"q": config.heads * config.head_size, **dict.fromkeys("kv", config.key_heads * config.head_size)}
    shapes: Shapes = {f"self_attn.{part}_proj.weight": (count, width) for part, count in rows.items()}
    if config.bias:
        shapes |= {f"self_attn.{part}_proj.bias": (count,) for part, count in rows.items()}
    shapes["self_attn.o_proj.weight"] = (width, rows["q"])
    shapes |= {f"mlp.{part}_proj.weight": (inner, width) for part in ("gate", "up")}
    shapes["mlp.down_proj.weight"] = (width, inner)
    suffixes = ("", "_2") if config.sandwich else ("",)
    return shapes | {
        f"{norm}_layernorm{end}.weight": (width,) for norm in ("input", "post_attention") for end in suffixes
    }


def expected_parameters(config: LoopConfig) -> int | None:
    """Number of parameters of the published Ouro model with this many layers; None for any other decoder."""
    if (config.family, config.width, config.vocabulary) != ("ouro", OURO_WIDTH, OURO_VOCABULARY):
        return None
    return OURO_PARAMETERS.get(config.layers)


class Checkpoint(Protocol):
    """Published weights, read by slices of rows; a vector is a single row. Reading is thread-safe."""

    @property
    def config(self) -> LoopConfig: ...

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes of the stored tensors, by published name."""

    def rows(self, name: str, first: int, count: int) -> Floats:
        """The stored numbers of some rows, without rounding: (count, columns)."""

    def codes(self, name: str, first: int, count: int) -> FourBitCodes | None:
        """The same rows as their stored four-bit codes; None when they are stored in another form."""

    def write_tokenizer(self, folder: Path) -> None:
        """Writes ``tokenizer.json``, and ``chat_template.jinja`` where there is one."""


def check_tensors(config: LoopConfig, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises ``OuroError`` unless ``shapes`` are exactly the tensors of the decoder."""
    expected = published_shapes(config)
    for problem, names in (
        ("The weights lack", expected.keys() - shapes.keys()),
        ("The weights have tensors that are not part of the decoder:", shapes.keys() - expected.keys()),
    ):
        if names:
            shown = sorted(names)
            more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
            raise OuroError(
                f"{problem} {', '.join(shown[:_SHOWN])}{more}.",
                remedy="They are damaged, or of a model with another architecture.",
            )
    for name, shape in expected.items():
        if shapes[name] != shape:
            raise OuroError(
                f"The tensor {name} has the shape {list(shapes[name])}; by the configuration it is {list(shape)}.",
                remedy="The configuration belongs to other weights, or the file is damaged.",
            )
    wanted, found = expected_parameters(config), sum(map(prod, shapes.values()))
    if wanted is not None and found != wanted:
        raise OuroError(
            f"The weights have {found:,} parameters; the published Ouro of {config.layers} layers has {wanted:,}.",
            remedy="They are not the published ones: check their source.",
        )
