"""Tensors of a GGUF file: their names in the loaded model, and their numbers in the form they are computed with.

numpy only. Everything works on slices of rows, so that memory stays small and slices can go to several threads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_GLOBAL = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_IN_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_BLOCK = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")


def model_name(gguf_name: str) -> str | None:
    """Name of the parameter in the decoder; ``None`` for a tensor that the decoder does not have."""
    if gguf_name in _GLOBAL:
        return _GLOBAL[gguf_name]
    match = _BLOCK.fullmatch(gguf_name)
    if match is None or match[2] not in _IN_BLOCK:
        return None
    return f"model.layers.{match[1]}.{_IN_BLOCK[match[2]]}.{match[3]}"


def row_bytes(columns: int, kind: int) -> int:
    """Stored bytes of one row of ``columns`` numbers."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    return int(columns // block * size)


def dequantise(raw: NDArray[np.uint8], kind: int, columns: int) -> Floats:
    """Rows of stored bytes to float32, shape (rows, columns)."""
    from gguf import GGMLQuantizationType, dequantize

    values: Any = dequantize(raw, GGMLQuantizationType(kind))
    result: Floats = values.reshape(raw.shape[0], columns)
    return result


def to_bf16(values: Floats) -> NDArray[np.uint16]:
    """Upper half of each float32, rounded to nearest even."""
    import numpy as np

    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))
    return (rounded >> 16).astype(np.uint16)


def to_int8(values: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Symmetric, one scale a row: ``values ~ quantised * scale``."""
    import numpy as np

    peak = np.abs(values).max(axis=1)
    scale = np.where(peak > 0, peak / 127, 1).astype(np.float32)
    return np.rint(values / scale[:, None]).astype(np.int8), scale
