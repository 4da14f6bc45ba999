"""What the limits of the machine allow for a model: bytes that one token reads, and operations that it costs."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

BYTES = {"fp32": 4.0, "bf16": 2.0, "int8": 1.0, "int4": 0.5 + 4 / 32}  # a weight; int4: scale and zero for 32 of them
PEAK = {"fp32": "fp32_tera", "bf16": "bf16_tera", "int8": "int8_tera", "q4_k_m": "int8_tera"}
EMBEDDING, HEAD = "token_embd.weight", "output.weight"


def weights(file: Path) -> dict[str, int]:
    """Of the matrices of a GGUF file: numbers with and without the head, and bytes with it.

    The table that tokens are looked up in is not read as a whole; where it is the head, too, it is.
    """
    from gguf import GGUFReader

    tensors = {t.name: t for t in GGUFReader(file).tensors if len(t.shape) == 2}
    if HEAD in tensors:
        del tensors[EMBEDDING]
    head = tensors.get(HEAD, tensors.get(EMBEDDING))
    sizes = {name: math.prod(map(int, tensor.shape)) for name, tensor in tensors.items()}
    return {
        "numbers": sum(sizes.values()),
        "without_head": sum(sizes.values()) - (sizes[head.name] if head is not None else 0),
        "bytes": sum(int(t.n_bytes) for t in tensors.values()),
    }


def bounds(file: Path, limits: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Tokens a second at most, by form: of one answer (bandwidth), and of a prompt (operations, without attention)."""
    found = weights(file)
    forms = {form: found["numbers"] * size for form, size in BYTES.items()} | {"q4_k_m": float(found["bytes"])}
    return {
        "decode": {form: limits["read_gb_s"] * 1e9 / size for form, size in forms.items()},
        "prefill": {
            form: limits[peak] * 1e12 / (2 * found["without_head"]) for form, peak in PEAK.items() if peak in limits
        },
        "mb": {form: size / (1 << 20) for form, size in forms.items()},
    }


def forms_of(contestant: str, info: dict[str, Any]) -> tuple[str, str]:
    """The forms that a contestant decodes and prefills with: ours says it in a sentence."""
    if contestant.startswith("llama.cpp"):
        return "q4_k_m", "q4_k_m"
    if contestant.startswith("transformers"):
        return contestant.rpartition("/")[2], contestant.rpartition("/")[2]
    names = re.findall(r"\b(fp32|bf16|int8|int4)\b", str(info.get("why", "")).partition(": a trial")[0])
    return (names[0], names[-1]) if names else ("", "")
