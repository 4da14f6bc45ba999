"""A tiny looped model with random weights, in the layout in which the Ouro checkpoints are published."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kernel.engine.model.config import config_from_published
from kernel.weights.checkpoint import published_shapes
from tests.kernel.tiny import CONTROL, MERGES, PADDED_VOCABULARY, TEMPLATE, USER_DEFINED, byte_symbols

LAYERS, WIDTH, HEADS, INNER, STEPS = 3, 64, 4, 128, 4
SHARD = "model-{:05d}-of-{:05d}.safetensors"


@dataclass(frozen=True)
class TinyOuro:
    """The folder, its ``config.json``, and its numbers as float32 tensors by published name."""

    folder: Path
    config: dict[str, Any]
    numbers: dict[str, Any]


def ouro_config(**fields: Any) -> dict[str, Any]:
    """As published, but small; ``fields`` replace some."""
    layers = fields.get("num_hidden_layers", LAYERS)
    return {
        "architectures": ["OuroForCausalLM"],
        "model_type": "ouro",
        "hidden_size": WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": WIDTH // HEADS,
        "intermediate_size": INNER,
        "hidden_act": "silu",
        "vocab_size": PADDED_VOCABULARY,
        "rope_theta": 1_000_000.0,
        "rope_scaling": None,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 65_536,
        "tie_word_embeddings": False,
        "total_ut_steps": STEPS,
        "early_exit_threshold": 1.0,
        "use_sliding_window": False,
        "sliding_window": None,
        "layer_types": ["full_attention"] * layers,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "torch_dtype": "bfloat16",
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
        **fields,
    }


def write_tiny_ouro(
    folder: Path, *, kind: Literal["bf16", "f16", "f32"] = "bf16", shards: int = 1, seed: int = 11, **fields: Any
) -> TinyOuro:
    """``kind``: how the tensors are stored; ``shards``: files that they are spread over; ``fields``: of the config."""
    config = ouro_config(**fields)
    return write_published(folder, config, random_numbers(config, seed), kind=kind, shards=shards)


def random_numbers(config: dict[str, Any], seed: int) -> dict[str, Any]:
    """Float32 tensors by published name. Every norm differs from one, and no token's row is zero."""
    import torch

    random = torch.Generator().manual_seed(seed)
    numbers = {}
    for name, shape in published_shapes(config_from_published(config)).items():
        norm = "norm" in name
        spread = 0.1 if norm else 1.0 if "embed" in name or "lm_head" in name else 0.25
        numbers[name] = torch.randn(shape, generator=random) * spread + (1.0 if norm else 0.0)
    return numbers


def write_published(
    folder: Path, config: dict[str, Any], numbers: dict[str, Any], *, kind: str = "bf16", shards: int = 1
) -> TinyOuro:
    """Any model in the published layout, with the tiny tokenizer."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    dtype = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}[kind]
    stored = {name: tensor.to(dtype) for name, tensor in numbers.items()}
    names = sorted(stored)
    if shards == 1:
        save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        files = {name: SHARD.format(at % shards + 1, shards) for at, name in enumerate(names)}
        for file in sorted(set(files.values())):
            save_file({name: stored[name] for name in names if files[name] == file}, folder / file)
        index = {"metadata": {"total_size": 1}, "weight_map": files}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE, "eos_token": CONTROL[2]}))
    tokenizer().save(str(folder / "tokenizer.json"))
    return TinyOuro(folder, config, {name: tensor.float() for name, tensor in stored.items()})


def tokenizer() -> Any:
    """The tiny vocabulary as the published checkpoints order theirs: control tokens have the first numbers."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens = [*CONTROL, *byte_symbols(), *(merge.replace(" ", "") for merge in MERGES)]
    merges = [(left, right) for left, right in (merge.split(" ") for merge in MERGES)]
    made = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    digits, rest = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([digits, rest])
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in CONTROL])
    made.add_tokens([AddedToken(USER_DEFINED, normalized=False)])
    return made
