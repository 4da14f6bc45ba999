"""Tiny random decoders, as published names for the naive reference and as an engine model, and passes over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from kernel.engine.cache.batch import Batch, CacheFormat
from kernel.engine.cache.packing import Row, share_prefix
from kernel.engine.cache.prefill import Prefill
from kernel.engine.model.assemble import assemble, product_maker
from kernel.engine.model.config import LoopConfig, config_from_published
from kernel.engine.model.decoder import LoopModel
from kernel.engine.model.exits import ExitRule
from kernel.engine.model.passes import adaptive_pass
from tests.kernel.engine.naive import Shape

WIDTH, HEADS, INNER, VOCABULARY = 32, 4, 48, 61
OURO: dict[str, Any] = {
    "model_type": "ouro",
    "hidden_size": WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "head_dim": WIDTH // HEADS,
    "intermediate_size": INNER,
    "hidden_act": "silu",
    "vocab_size": VOCABULARY,
    "rope_theta": 1e6,
    "rope_scaling": None,
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 65536,
    "tie_word_embeddings": False,
    "total_ut_steps": 4,
    "early_exit_threshold": 1.0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
QWEN: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": WIDTH,
    "num_hidden_layers": 4,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "intermediate_size": INNER,
    "vocab_size": VOCABULARY,
    "rope_theta": 1e4,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
    "eos_token_id": 7,
}


def weights(raw: dict[str, Any], seed: int = 1, gate_bias: float = 0.0, spread: float = 0.2) -> dict[str, Any]:
    """Random float32 weights by published name; norms away from one, so that a norm too many is seen.

    With a ``spread`` far below 0.2 a step changes little.
    """
    random = torch.Generator().manual_seed(seed)

    def draw(*shape: int, spread: float = spread) -> Any:
        return torch.randn(shape, generator=random) * spread

    size = raw.get("head_dim", WIDTH // HEADS)
    keys = raw["num_key_value_heads"] * size
    found = {"model.embed_tokens.weight": draw(VOCABULARY, WIDTH, spread=1.0), "model.norm.weight": 1 + draw(WIDTH)}
    ouro = raw["model_type"] == "ouro"
    norms = ["input_layernorm", "post_attention_layernorm"]
    norms += [f"{norm}_2" for norm in norms] if ouro else []
    for i in range(raw["num_hidden_layers"]):
        at = f"model.layers.{i}."
        for norm in norms:
            found[f"{at}{norm}.weight"] = (spread * 5 if norm.endswith("_2") else 1) + draw(WIDTH)
        for part, rows in (("q", HEADS * size), ("k", keys), ("v", keys)):
            found[f"{at}self_attn.{part}_proj.weight"] = draw(rows, WIDTH)
            if not ouro:
                found[f"{at}self_attn.{part}_proj.bias"] = draw(rows)
        found[f"{at}self_attn.o_proj.weight"] = draw(WIDTH, HEADS * size)
        found[f"{at}mlp.gate_proj.weight"] = draw(INNER, WIDTH)
        found[f"{at}mlp.up_proj.weight"] = draw(INNER, WIDTH)
        found[f"{at}mlp.down_proj.weight"] = draw(WIDTH, INNER)
    if ouro:
        found["model.early_exit_gate.weight"] = draw(1, WIDTH, spread=0.15)
        found["model.early_exit_gate.bias"] = torch.full((1,), gate_bias)
    if not raw["tie_word_embeddings"]:
        found["lm_head.weight"] = draw(VOCABULARY, WIDTH)
    return found


def engine_names(config: LoopConfig, published: dict[str, Any]) -> dict[str, Any]:
    """The same numbers by the names of the converted layout."""
    found = {"embed": published["model.embed_tokens.weight"], "norm": published["model.norm.weight"]}
    if not config.tied:
        found["head"] = published["lm_head.weight"]
    if config.gate:
        found["gate.weight"] = published["model.early_exit_gate.weight"][0]
        found["gate.bias"] = published["model.early_exit_gate.bias"]
    parts = {
        "attention_norm": ["input_layernorm"],
        "after_attention": ["input_layernorm_2"],
        "feed_norm": ["post_attention_layernorm"],
        "after_feed": ["post_attention_layernorm_2"],
        "qkv": [f"self_attn.{x}_proj" for x in "qkv"],
        "out": ["self_attn.o_proj"],
        "gate_up": ["mlp.gate_proj", "mlp.up_proj"],
        "down": ["mlp.down_proj"],
    }
    for i in range(config.layers):
        for ours, theirs in parts.items():
            for end, short in ((".weight", ""), (".bias", ".bias")):
                names = [f"model.layers.{i}.{name}{end}" for name in theirs]
                if all(name in published for name in names):
                    found[f"layers.{i}.{ours}{short}"] = torch.cat([published[name] for name in names])
    return found


def model_of(raw: dict[str, Any], published: dict[str, Any], **core: Any) -> LoopModel:
    config = config_from_published(raw)
    if core:
        config = config.with_core(**core)
    tensors = engine_names(config, published)
    return assemble(config, tensors, product_maker(tensors))


def shape_of(config: LoopConfig) -> Shape:
    return Shape(
        layers=config.layers,
        heads=config.heads,
        key_heads=config.key_heads,
        head_size=config.head_size,
        theta=config.rope.theta,
        epsilon=config.epsilon,
        sandwich=config.sandwich,
        first=config.core[0],
        behind=config.core[1],
    )


def memory(steps: int, *, held: int = 0, int8: bool = False) -> CacheFormat:
    return CacheFormat(torch.float32, steps, held or steps, int8)


def decoded(
    model: LoopModel,
    kept: CacheFormat,
    rule: ExitRule,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    *,
    shared: int = 0,
    at_once: int = 7,
) -> tuple[list[list[Any]], list[list[int]]]:
    """Logits behind each prompt and each token of its answer, and the depth of each answer token.

    All answers are equally long. ``shared``: tokens of the first prompt that are offered as a common beginning.
    """
    longest = len(answers[0])
    with torch.inference_mode():
        if shared:
            trunk, rows = share_prefix(prompts, [shared, *[0] * (len(prompts) - 1)], [longest + 1] * len(prompts))
        else:
            trunk, rows = [], [Row(i, tuple(p), 0, longest + 1) for i, p in enumerate(prompts)]
        prefill = Prefill(model, kept, at_once)
        front = prefill.trunk(trunk)
        store, scores = prefill.rows(front, rows)
        batch = Batch(model, kept, front, store, rows, 1)
        logits = [[score] for score in scores]
        depths: list[list[int]] = [[] for _ in prompts]
        for at in range(longest):
            tokens = torch.tensor([[answer[at]] for answer in answers])
            passed = adaptive_pass(model, tokens, batch.view(), rule)
            for row, score in enumerate(model.scores(passed.state[:, 0])):
                logits[row].append(score)
                depths[row].append(int(passed.walk.depth[row]))
    return logits, depths
