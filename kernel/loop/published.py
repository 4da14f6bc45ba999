"""Names and shapes of the tensors in a published checkpoint, from the shape of its decoder."""

from __future__ import annotations

from math import prod

from kernel.loop.config import OURO_PARAMETERS, OURO_VOCABULARY, OURO_WIDTH, LoopConfig

Shapes = dict[str, tuple[int, ...]]

EMBEDDING, HEAD, FINAL_NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
GATE = "model.early_exit_gate"


def published_shapes(config: LoopConfig) -> Shapes:
    """Every tensor that a checkpoint of this decoder has, outermost dimension first.

    A tied head has no tensor of its own. The names are those of the Hugging Face classes.
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
    behind = ("", "_2") if config.sandwich else ("",)
    return shapes | {
        f"{norm}_layernorm{end}.weight": (width,) for norm in ("input", "post_attention") for end in behind
    }


def parameters(config: LoopConfig) -> int:
    """Numbers in a checkpoint of this decoder."""
    return sum(map(prod, published_shapes(config).values()))


def expected_parameters(config: LoopConfig) -> int | None:
    """What a published Ouro of this depth has; ``None`` for a decoder that is not one of them."""
    if (config.family, config.width, config.vocabulary) != ("ouro", OURO_WIDTH, OURO_VOCABULARY):
        return None
    return OURO_PARAMETERS.get(config.layers)
