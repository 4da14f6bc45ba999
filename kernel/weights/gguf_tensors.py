"""Tensors of a GGUF file: published names, and stored bytes as numbers or as their four-bit codes.

numpy only; everything works on slices of rows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kernel.weights.checkpoint import EMBEDDING, FINAL_NORM, HEAD
from kernel.weights.four_bits import GROUP, FourBitCodes
from kernel.weights.rounding import to_bf16
from ledger.errors import OuroError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kernel.weights.rounding import Floats

    Bytes = NDArray[np.uint8]

ROPE_FACTORS = "rope_freqs.weight"
Q4_0, Q4_1, Q4_K = 2, 3, 12  # ids of the kinds whose codes equal those of ``four_bits``
_GLOBAL = {"token_embd.weight": EMBEDDING, "output_norm.weight": FINAL_NORM, "output.weight": HEAD}
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


def published_name(gguf_name: str) -> str:
    """Name of the tensor in a published checkpoint; an unknown name is returned unchanged."""
    if gguf_name in _GLOBAL:
        return _GLOBAL[gguf_name]
    match = _BLOCK.fullmatch(gguf_name)
    if match is None or match[2] not in _IN_BLOCK:
        return gguf_name
    return f"model.layers.{match[1]}.{_IN_BLOCK[match[2]]}.{match[3]}"


def row_bytes(columns: int, kind: int) -> int:
    """Stored bytes of a row of ``columns`` numbers. Raises ``OuroError`` for an unknown kind."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    if kind not in list(GGMLQuantizationType):
        raise OuroError(f"The weights hold numbers of a kind ({kind}) that is not known.")
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    if columns % block:
        raise OuroError(f"The weights hold rows of {columns} numbers in blocks of {block}: the file is damaged.")
    return int(columns // block * size)


def check_kind(kind: int) -> None:
    """Raises ``OuroError`` for a kind that cannot be dequantised."""
    import numpy as np
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    try:
        dequantise(np.zeros((1, size), np.uint8), kind, block)
    except NotImplementedError as error:
        raise OuroError(
            f"The weights hold numbers of the kind {GGMLQuantizationType(kind).name}, which cannot be read.",
            remedy="Choose a file in Q4_K_M, Q8_0, F16 or BF16.",
        ) from error


def dequantise(raw: Bytes, kind: int, columns: int) -> Floats:
    """Rows of stored bytes as float32 (rows, columns)."""
    from gguf import GGMLQuantizationType, dequantize

    values: Any = dequantize(raw, GGMLQuantizationType(kind))
    result: Floats = values.reshape(raw.shape[0], columns)
    return result


def unpack_codes(raw: Bytes, kind: int, columns: int) -> FourBitCodes | None:
    """The four-bit codes in rows of stored bytes (rows, bytes); None for other kinds.

    Only scale and zero are rounded, to bf16. Layouts: ``ggml-common.h`` of llama.cpp.
    """
    import numpy as np

    if kind not in (Q4_0, Q4_1, Q4_K):
        return None
    rows, groups = raw.shape[0], columns // GROUP
    if kind == Q4_K:
        codes, scale, least = _unpack_q4_k(raw.reshape(rows * columns // 256, -1))
    else:
        blocks = raw.reshape(rows * groups, -1)
        halves = blocks[:, -GROUP // 2 :]  # the lower bits of all bytes, then the upper ones
        codes = np.concatenate([halves & 15, halves >> 4], axis=1)
        scale = _from_float16(blocks[:, :2])
        least = _from_float16(blocks[:, 2:4]) if kind == Q4_1 else -8 * scale
    scale, least = scale.reshape(rows, groups), least.reshape(rows, groups)
    return FourBitCodes(codes.reshape(rows, columns), to_bf16(scale), to_bf16(8 * scale + least))


def _unpack_q4_k(blocks: Bytes) -> tuple[Bytes, Floats, Floats]:
    """Blocks (n, 144) of 256 numbers as codes (n, 8, 32), scales (n, 8) and minima (n, 8)."""
    import numpy as np
    from gguf import quants

    count = blocks.shape[0]
    steps, offsets = quants.Q4_K.get_scale_min(np.ascontiguousarray(blocks[:, 4:16]))
    scale = _from_float16(blocks[:, :2])[:, None] * steps.astype(np.float32)
    least = _from_float16(blocks[:, 2:4])[:, None] * -offsets.astype(np.float32)
    nibbles = blocks[:, 16:].reshape(count, 4, 1, GROUP)  # 32 bytes hold two groups: lower bits, then upper bits
    codes = np.concatenate([nibbles & 15, nibbles >> 4], axis=2).reshape(count, 8, GROUP)
    return codes, scale, least


def _from_float16(raw: Bytes) -> Floats:
    """Stored float16 (n, 2 bytes) as float32 (n)."""
    import numpy as np

    return np.ascontiguousarray(raw).view(np.float16).astype(np.float32)[:, 0]
