"""The configuration of the decoder in a GGUF file, in the terms of a published ``config.json``."""

from __future__ import annotations

import math
from typing import Any

from kernel.engine.model.config import LoopConfig, config_from_published
from kernel.weights.gguf_file import GgufHead
from ledger.errors import OuroError

ARCHITECTURES = ("qwen2", "llama")
_FIRST_THETA = 10_000.0  # default of files that do not give one
_CLOSE = 1e-3


def architecture_of(head: GgufHead) -> str:
    """Raises ``OuroError`` for an unsupported architecture, and for one part of a split file."""
    found = head.text("general.architecture")
    if found not in ARCHITECTURES:
        raise OuroError(
            f"Weights of the architecture {found!r} cannot be converted.",
            remedy=f"The architectures {' and '.join(ARCHITECTURES)} can be.",
        )
    if head.number("split.count", 1) > 1:
        raise OuroError("The file is one part of split weights.", remedy="Join them: llama-gguf-split --merge.")
    return found


def config_of(head: GgufHead, rope_factors: list[float], *, tied: bool) -> LoopConfig:
    """``rope_factors``: divisors of the frequency of each pair; empty when the file has none."""
    architecture = architecture_of(head)

    def number(key: str, default: float | None = None) -> Any:
        return head.number(f"{architecture}.{key}", default)

    embedding = head.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise OuroError("The weights hold no embedding table: the file is damaged or no language model.")
    width, heads = number("embedding_length"), number("attention.head_count")
    head_size = number("attention.key_length", width // heads)
    if {number(key, head_size) for key in ("attention.value_length", "rope.dimension_count")} != {head_size}:
        raise OuroError("Weights with partial rotary positions, or heads of two sizes, cannot be loaded.")
    return config_from_published(
        {
            "model_type": architecture,
            "vocab_size": embedding.shape[0],
            "hidden_size": width,
            "intermediate_size": number("feed_forward_length"),
            "num_hidden_layers": number("block_count"),
            "num_attention_heads": heads,
            "num_key_value_heads": number("attention.head_count_kv", heads),
            "head_dim": head_size,
            "max_position_embeddings": number("context_length"),
            "rms_norm_eps": number("attention.layer_norm_rms_epsilon"),
            "rope_parameters": _rope(head, architecture, rope_factors),
            "tie_word_embeddings": tied,
            "bos_token_id": head.metadata.get("tokenizer.ggml.bos_token_id"),
            "eos_token_id": _stops(head),
        }
    )


def _stops(head: GgufHead) -> list[int]:
    """End of text, and end of turn where the file has a separate one."""
    keys = [f"tokenizer.ggml.{kind}_token_id" for kind in ("eos", "eot")]
    return list(dict.fromkeys(int(head.number(key)) for key in keys if key in head.metadata))


def _rope(head: GgufHead, architecture: str, factors: list[float]) -> dict[str, Any]:
    at = f"{architecture}.rope."
    theta = head.number(f"{at}freq_base", _FIRST_THETA)
    kind = str(head.metadata.get(f"{at}scaling.type", "linear"))
    factor = head.number(f"{at}scaling.factor", head.number(f"{at}scale_linear", 0))  # 0: not given
    plain = kind == "none" or (kind == "linear" and factor in (0, 1))
    if factors and plain:
        return {"rope_theta": theta, **_rope_rule(theta, factors)}
    if factors or kind not in ("none", "linear"):
        raise OuroError(f"Weights with positions of the kind {kind!r} cannot be loaded.")
    return {"rope_theta": theta, **({} if plain else {"rope_type": "linear", "factor": factor})}


def _rope_rule(theta: float, factors: list[float]) -> dict[str, Any]:
    """Recovers the scaling rule from the factors; the file holds only its result.

    High frequencies are unchanged, low ones are divided by the whole factor, and between the two the share of the plain
    frequency is linear in the number of wavelengths in the original context: ``(original / wavelength - low) / (high -
    low)``. Only ratios of the three matter, so ``low`` is 1. Raises ``OuroError`` for another rule.
    """
    whole, count = max(factors), len(factors)
    inverse = [theta ** (-place / count) / (2 * math.pi) for place in range(count)]  # 1 / wavelength, in 1 / tokens
    found: dict[str, Any] = {"rope_type": "default"}
    if whole > 1:
        shares = [(1 / factor - 1 / whole) / (1 - 1 / whole) for factor in factors]
        between = [(x, share) for x, share in zip(inverse, shares, strict=True) if _CLOSE < share < 1 - _CLOSE]
        if len(between) < 2:
            raise _rope_rule_error()
        (x0, share0), (x1, share1) = between[0], between[-1]
        slope = (share0 - share1) / (x0 - x1)
        high = 1 + 1 / (slope * x0 - share0)
        found = {
            "rope_type": "llama3",
            "factor": whole,
            "low_freq_factor": 1.0,
            "high_freq_factor": round(high, 3),
            "original_max_position_embeddings": round(slope * (high - 1)),
        }
    again = [1.0] * count if whole <= 1 else [1 / _relative_frequency(found, x) for x in inverse]
    if any(abs(a / b - 1) > _CLOSE for a, b in zip(again, factors, strict=True)):
        raise _rope_rule_error()
    return found


def _relative_frequency(rule: dict[str, Any], inverse: float) -> float:
    """Share of the plain frequency under ``rule``, for a wavelength of ``1 / inverse`` tokens."""
    low, high = rule["low_freq_factor"], rule["high_freq_factor"]
    share = min(1.0, max(0.0, (rule["original_max_position_embeddings"] * inverse - low) / (high - low)))
    return float((1 - share) / rule["factor"] + share)


def _rope_rule_error() -> OuroError:
    return OuroError(
        "The weights scale positions by a rule that cannot be recovered from the file.",
        remedy="Name the published folder (safetensors) of the same model instead.",
    )
