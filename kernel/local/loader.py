"""A converted folder becomes a model: weights are mapped from the file, not read, so a warm load takes seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.local.precision import Precision
from kernel.weights.store import Form
from ledger.errors import ProviderUnavailable

if TYPE_CHECKING:
    from torch import Tensor, nn

ATTENTION = "grouped"  # name under which our attention function is known to the model class


def form_of(precision: Precision) -> Form:
    """The stored form that a precision is computed from."""
    return "int8" if precision == "int8" else "bf16"


def need_torch() -> None:
    """Raises ``ProviderUnavailable`` (kind ``weights``) when the libraries of the kernel are not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("torch", "transformers", "tokenizers", "safetensors", "gguf") if not find_spec(name)]
    if missing:
        raise ProviderUnavailable(
            f"The local model needs {', '.join(missing)}, which this environment does not have.",
            provider="local",
            kind="weights",
            remedy="Install the kernel extra: `pip install 'ouroboros[kernel]' -c constraints/cpu.txt`.",
        )


def layer_shape(folder_config: dict[str, Any]) -> tuple[int, int]:
    """Columns and rows of the largest weight of a layer."""
    return int(folder_config["hidden_size"]), int(folder_config["intermediate_size"])


def read_config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found


def load_model(folder: Path, precision: Precision) -> nn.Module:
    """The decoder, ready for inference. Blocking; imports torch and transformers."""
    import torch
    from safetensors.torch import load_file
    from transformers import AttentionInterface, Qwen2Config, Qwen2ForCausalLM
    from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

    AttentionInterface.register(ATTENTION, grouped_attention)
    config = Qwen2Config(**read_config(folder), attn_implementation=ATTENTION)
    with torch.device("meta"):
        model: Any = Qwen2ForCausalLM(config)
    if precision == "int8":
        _use_int8(model)
    tensors = load_file(folder / "model.safetensors")
    if config.tie_word_embeddings and "lm_head.weight" not in tensors:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    if precision == "fp32":
        tensors = {name: tensor.float() for name, tensor in tensors.items()}
    model.load_state_dict(tensors, assign=True, strict=True)
    model.model.rotary_emb = Qwen2RotaryEmbedding(config)  # computed, not stored: the one built above has no values
    model.requires_grad_(False)
    checked: nn.Module = model.eval()
    return checked


def _use_int8(model: Any) -> None:
    """Swap the classes of all weights that the converter stored as integers."""
    from torch import nn

    from kernel.local.int8 import int8_classes

    linear, embedding = int8_classes()
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, linear(child))
            elif isinstance(child, nn.Embedding):
                setattr(module, name, embedding(child))


def grouped_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, *, scaling: float, **_: object
) -> tuple[Tensor, None]:
    """Attention with several query heads for one key head, without copying the keys for each of them.

    query (rows, heads, new, size); key, value (rows, key heads, places, size); mask (rows, 1, new, places), added to
    the scores. Returns (rows, new, heads, size).
    """
    from torch.nn.functional import scaled_dot_product_attention

    rows, heads, new, size = query.shape
    groups = heads // key.shape[1]
    # The query heads of a group stand behind one another as if they were further new places.
    folded = query.reshape(rows, key.shape[1], groups * new, size)
    mask = attention_mask if new == 1 else attention_mask.repeat(1, 1, groups, 1)
    out = scaled_dot_product_attention(folded, key, value, attn_mask=mask, scale=scaling)
    return out.reshape(rows, heads, new, size).transpose(1, 2), None
