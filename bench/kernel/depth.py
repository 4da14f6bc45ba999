"""Depth is real: time per token of a looped model of Ouro-1.4B's shape whose gate is made to leave after each step.

    python -m bench.kernel.depth [--layers 24] [--tokens 24]

The weights are random integers (no published ones are needed to count and time passes). The seed of the project had no
cache in its adaptive mode and took about a second a token; the published reference computes all steps whatever its
threshold says.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from daemon.settings.config import prepare_process

WIDTH, INNER, HEADS, VOCABULARY, STEPS, PROMPT = 2048, 5632, 16, 49_152, 4, 128


def ouro(layers: int) -> Any:
    from kernel.engine.model.config import config_from_published

    return config_from_published(
        {
            "model_type": "ouro", "hidden_size": WIDTH, "num_hidden_layers": layers, "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS, "head_dim": WIDTH // HEADS, "intermediate_size": INNER,
            "vocab_size": VOCABULARY, "rope_theta": 1e6, "rms_norm_eps": 1e-6, "max_position_embeddings": 65_536,
            "tie_word_embeddings": False, "total_ut_steps": STEPS,
        }
    )  # fmt: skip


def build(layers: int) -> tuple[Any, Any]:
    """The model, and the bias of its gate, which decides the depth of every token."""
    import torch

    from kernel.engine.model.assemble import assemble
    from kernel.engine.model.products import Int8Product

    config = ouro(layers)
    shapes = {"qkv": (3 * WIDTH, WIDTH), "out": (WIDTH, WIDTH), "gate_up": (2 * INNER, WIDTH), "down": (WIDTH, INNER)}
    tensors: dict[str, Any] = {
        "norm": torch.ones(WIDTH),
        "gate.weight": torch.zeros(WIDTH),
        "gate.bias": torch.zeros(1),
    }
    tensors["embed"] = torch.randn(VOCABULARY, WIDTH).bfloat16()
    for i in range(layers):
        for norm in ("attention_norm", "after_attention", "feed_norm", "after_feed"):
            tensors[f"layers.{i}.{norm}"] = torch.ones(WIDTH)

    def make(name: str) -> Any:
        shape = shapes.get(name.rpartition(".")[2], (VOCABULARY, WIDTH))
        weight = torch.randint(-127, 128, shape, dtype=torch.int8)
        return Int8Product(weight, torch.full((shape[0],), 0.01 / shape[1] ** 0.5))

    model = assemble(config, tensors, make)
    return model, model.gate.bias


def timed(model: Any, rule: Any, tokens: int, held: int) -> tuple[float, float, int]:
    """Median milliseconds a token, mean depth, and layers computed a token."""
    import torch

    from kernel.engine.cache.batch import Batch, CacheFormat
    from kernel.engine.cache.packing import Row
    from kernel.engine.cache.prefill import Prefill
    from kernel.engine.model.passes import adaptive_pass

    memory = CacheFormat(torch.float32, STEPS, held)
    took, depth = [], 0
    with torch.inference_mode():
        rows = [Row(0, tuple(range(PROMPT)), 0, tokens + 1)]
        prefill = Prefill(model, memory, 512)
        trunk = prefill.trunk([])
        store, _ = prefill.rows(trunk, rows)
        batch, before = Batch(model, memory, trunk, store, rows, 1), model.passes
        for token in range(tokens):
            began = time.perf_counter()
            passed = adaptive_pass(model, torch.tensor([[token]]), batch.view(), rule)
            model.scores(passed.state[:, -1])
            took.append(time.perf_counter() - began)
            depth += int(passed.walk.depth[0])
    return 1000 * statistics.median(took), depth / tokens, (model.passes - before) // tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=24)
    args = parser.parse_args()
    prepare_process()
    from kernel.engine.model.exits import ExitRule

    model, bias = build(args.layers)
    found = []
    for name, chance, rule in (
        ("leaves after 1", 30.0, ExitRule("qexit", STEPS, q=0.5)),
        ("leaves after 2", 0.0, ExitRule("qexit", STEPS, q=0.7)),
        ("leaves after 3", 0.0, ExitRule("qexit", STEPS, q=0.8)),
        ("full depth", -30.0, ExitRule("qexit", STEPS, q=0.5)),
        ("fixed", -30.0, ExitRule("fixed", STEPS)),
    ):
        bias.fill_(chance)
        ms, depth, layers = timed(model, rule, args.tokens, STEPS)
        found.append({"gate": name, "depth": depth, "layers a token": layers, "ms a token": round(ms, 1)})
    print("| " + " | ".join(found[0]) + " |\n|" + "---|" * len(found[0]))
    for row in found:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
