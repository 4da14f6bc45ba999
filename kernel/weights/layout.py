"""Tensors of a converted folder: the decoder's parameters in one of four forms.

| form | matrices | head that is shared with the embedding |
|---|---|---|
| bf16, fp32 | under their own name | omitted: the embedding is used |
| int8 | ``name.int8`` (rows, columns) with ``name.scale`` (rows) | written separately |
| int4 | ``name.int4`` (rows / 4, columns / 64, 160): blocks of ``kernel.weights.four_bits`` | written separately |

Norms, biases and the exit gate are float32 in all forms; the embedding table is bf16, or float32 in fp32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kernel.engine.model.config import LoopConfig
from kernel.weights.checkpoint import EMBEDDING, FINAL_NORM, GATE, HEAD, published_shapes
from kernel.weights.four_bits import BLOCK, BLOCK_COLUMNS, BLOCK_ROWS, fits_blocks
from kernel.weights.store import Form

Coding = Literal["F32", "BF16", "int8", "int4"]
_WIDTHS = {"F32": 4, "BF16": 2, "I8": 1, "U8": 1}


@dataclass(frozen=True, slots=True)
class LayoutParameter:
    """``parts``: the published tensors whose rows are concatenated; a vector is one row of all its parts."""

    name: str
    parts: tuple[str, ...]
    rows: int
    columns: int
    coding: Coding
    vector: bool = False


@dataclass(frozen=True, slots=True)
class TensorPlacement:
    """One tensor of the written file; ``start`` counts from the end of the header."""

    name: str
    kind: str
    shape: tuple[int, ...]
    start: int

    @property
    def row_bytes(self) -> int:
        """Bytes per index of the outermost dimension."""
        return self.size // self.shape[0]

    @property
    def size(self) -> int:
        """Bytes of the tensor."""
        size = _WIDTHS[self.kind]
        for count in self.shape:
            size *= count
        return size


def list_parameters(config: LoopConfig, form: Form) -> Iterator[LayoutParameter]:
    """Parameters in the order of the written file."""
    shapes = published_shapes(config)
    plain: Coding = "F32" if form == "fp32" else "BF16"

    def vector(name: str, *parts: str) -> LayoutParameter:
        return LayoutParameter(name, parts, 1, sum(shapes[part][-1] for part in parts), "F32", vector=True)

    def matrix(name: str, *parts: str) -> LayoutParameter:
        rows, columns = sum(shapes[part][0] for part in parts), shapes[parts[0]][1]
        coding: Coding = plain if form in ("bf16", "fp32") else "int8" if form == "int8" else "int4"
        if coding == "int4" and not fits_blocks(rows, columns):
            coding = "int8"  # the four-bit product needs whole blocks
        return LayoutParameter(name, parts, rows, columns, coding)

    yield LayoutParameter("embed", (EMBEDDING,), config.vocabulary, config.width, plain)
    for layer in range(config.layers):
        here, there = f"layers.{layer}.", f"model.layers.{layer}."
        qkv = [f"{there}self_attn.{part}_proj" for part in "qkv"]
        yield vector(f"{here}attention_norm", f"{there}input_layernorm.weight")
        if config.sandwich:
            yield vector(f"{here}after_attention", f"{there}input_layernorm_2.weight")
        yield vector(f"{here}feed_norm", f"{there}post_attention_layernorm.weight")
        if config.sandwich:
            yield vector(f"{here}after_feed", f"{there}post_attention_layernorm_2.weight")
        yield matrix(f"{here}qkv", *(f"{part}.weight" for part in qkv))
        if config.bias:
            yield vector(f"{here}qkv.bias", *(f"{part}.bias" for part in qkv))
        yield matrix(f"{here}out", f"{there}self_attn.o_proj.weight")
        yield matrix(f"{here}gate_up", f"{there}mlp.gate_proj.weight", f"{there}mlp.up_proj.weight")
        yield matrix(f"{here}down", f"{there}mlp.down_proj.weight")
    yield vector("norm", FINAL_NORM)
    if config.gate:
        yield vector("gate.weight", f"{GATE}.weight")
        yield vector("gate.bias", f"{GATE}.bias")
    if not config.tied or form in ("int8", "int4"):
        yield matrix("head", EMBEDDING if config.tied else HEAD)


def place_parameter(parameter: LayoutParameter, start: int) -> tuple[TensorPlacement, ...]:
    """The tensors that a parameter is written as, from ``start`` on; the format allows no gap between tensors."""
    name, rows, columns = parameter.name, parameter.rows, parameter.columns
    if parameter.coding == "int8":
        first = TensorPlacement(f"{name}.int8", "I8", (rows, columns), start)
        return first, TensorPlacement(f"{name}.scale", "F32", (rows,), start + first.size)
    if parameter.coding == "int4":
        return (TensorPlacement(f"{name}.int4", "U8", (rows // BLOCK_ROWS, columns // BLOCK_COLUMNS, BLOCK), start),)
    return (TensorPlacement(name, parameter.coding, (columns,) if parameter.vector else (rows, columns), start),)
