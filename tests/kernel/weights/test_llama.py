"""GGUF files of the architecture llama: the order of their queries and keys, and their rules for positions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from kernel.engine.model.config import Rope
from kernel.weights.gguf_config import config_of
from kernel.weights.gguf_file import GgufHead, TensorInfo
from ledger.errors import OuroError
from tests.kernel.tiny import HEADS, LAYERS, THETA, WIDTH, write_tiny
from tests.kernel.weights.converting import config_in, made, run, tensors, unpacked

PROMPT = [3, 70, 12, 9, 250, 66, 5, 81, 14, 2, 199, 30]


def published_names(found: dict[str, Any]) -> dict[str, Any]:
    """Our parameters cut back into those of transformers' class."""
    keys = 2 * WIDTH // HEADS
    state = {
        "model.embed_tokens.weight": found["embed"],
        "model.norm.weight": found["norm"],
        "lm_head.weight": found["head"],
    }
    for layer in range(LAYERS):
        at, there = f"layers.{layer}.", f"model.layers.{layer}."
        q, k, v = found[f"{at}qkv"].split([WIDTH, keys, keys])
        gate, up = found[f"{at}gate_up"].chunk(2)
        state |= {f"{there}self_attn.{part}_proj.weight": rows for part, rows in zip("qkv", (q, k, v), strict=True)}
        state |= {f"{there}mlp.gate_proj.weight": gate, f"{there}mlp.up_proj.weight": up}
        state |= {
            f"{there}self_attn.o_proj.weight": found[f"{at}out"],
            f"{there}mlp.down_proj.weight": found[f"{at}down"],
            f"{there}input_layernorm.weight": found[f"{at}attention_norm"],
            f"{there}post_attention_layernorm.weight": found[f"{at}feed_norm"],
        }
    return state


def test_queries_and_keys_are_those_that_transformers_reads_from_the_same_file(
    kernel_extra: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so are the logits of its own class, which would differ with rows in another order."""
    import torch
    from tqdm import tqdm
    from transformers import LlamaForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    monkeypatch.setattr(tqdm, "monitor_interval", 0)  # no thread that looks after the bar
    model = write_tiny(tmp_path, architecture="llama", pre="smollm")
    state = published_names(tensors(run(model, "fp32")))
    told = load_gguf_checkpoint(str(tmp_path / "tiny.gguf"))
    theirs = LlamaForCausalLM.config_class(**told["config"], attn_implementation="eager")
    one = LlamaForCausalLM(theirs).eval()
    with torch.no_grad():
        found = one.load_state_dict(state, strict=True)
        assert not found.missing_keys and not found.unexpected_keys
        logits = one(torch.tensor([PROMPT])).logits
    for layer in range(LAYERS):
        for part in "qk":
            published = torch.from_numpy(model.numbers[f"blk.{layer}.attn_{part}.weight"])
            assert torch.equal(state[f"model.layers.{layer}.self_attn.{part}_proj.weight"], published)

    whole = load_gguf_checkpoint(str(tmp_path / "tiny.gguf"), return_tensors=True, model_to_load=one)["tensors"]
    other = LlamaForCausalLM(theirs).eval()
    with torch.no_grad():
        other.load_state_dict({name: torch.as_tensor(value) for name, value in whole.items()}, strict=False)
        assert torch.equal(other(torch.tensor([PROMPT])).logits, logits)


def test_four_bit_rows_are_put_in_order_with_their_codes(kernel_extra: None, tmp_path: Path) -> None:
    import torch

    model = write_tiny(tmp_path, architecture="llama", pre="smollm", kinds={"attn_q": "Q4_1", "attn_k": "Q4_0"})
    found = tensors(run(model, "int4"))
    published = torch.from_numpy(model.numbers["blk.1.attn_q.weight"])
    back = unpacked(found, "layers.1.qkv")[:WIDTH]
    assert torch.linalg.norm(back - published) / torch.linalg.norm(published) < 0.005


def head(**values: Any) -> GgufHead:
    """Of a file with heads of 128; ``values`` stand below ``llama.``, with ``__`` for a dot."""
    metadata: dict[str, Any] = {
        "general.architecture": "llama",
        "llama.embedding_length": 2048,
        "llama.feed_forward_length": 8192,
        "llama.block_count": 16,
        "llama.attention.head_count": 16,
        "llama.attention.head_count_kv": 8,
        "llama.context_length": 131_072,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 500_000.0,
        "tokenizer.ggml.bos_token_id": 128_000,
        "tokenizer.ggml.eos_token_id": 128_009,
        "tokenizer.ggml.eot_token_id": 128_008,
    }
    metadata |= {f"llama.{key.replace('__', '.')}": value for key, value in values.items()}
    return GgufHead(metadata, {"token_embd.weight": TensorInfo("token_embd.weight", (128_256, 2048), 0, 0)})


def factors(rope: Rope, half: int) -> list[float]:
    """As llama.cpp's converter writes them into ``rope_freqs.weight``."""
    found = []
    for at in range(half):
        wave = 2 * math.pi * rope.theta ** (at / half)
        if wave < rope.original / rope.high:
            found.append(1.0)
        elif wave > rope.original / rope.low:
            found.append(rope.factor)
        else:
            smooth = (rope.original / wave - rope.low) / (rope.high - rope.low)
            found.append(1 / ((1 - smooth) / rope.factor + smooth))
    return found


STRETCHED = (
    Rope(theta=500_000.0, kind="llama3", factor=8.0),
    Rope(theta=500_000.0, kind="llama3", factor=32.0),
    Rope(theta=500_000.0, kind="llama3", factor=4.0, high=8.0, original=4096),
)


@pytest.mark.parametrize("rope", STRETCHED)
@pytest.mark.parametrize("half", [32, 64])
def test_stretched_positions_are_told_from_the_factors(kernel_extra: None, rope: Rope, half: int) -> None:
    """The rule that they were made by comes back, and what the engine computes from it fits wave by wave."""
    import torch

    from kernel.engine.model.attention import frequencies

    told = torch.tensor(factors(rope, half))  # rounded to float32, as a file has them
    found = config_of(head(), told.tolist(), tied=False).rope
    assert (found.kind, found.low, found.original) == ("llama3", 1.0, rope.original)
    assert (found.factor, found.high) == (pytest.approx(rope.factor), pytest.approx(rope.high, abs=0.002))
    plain = frequencies(Rope(theta=rope.theta), 2 * half)
    assert torch.allclose(frequencies(found, 2 * half), plain / told, rtol=1e-3)


def test_other_rules_for_positions() -> None:
    def rope(told: list[float], **values: Any) -> Rope:
        return config_of(head(**values), told, tied=False).rope

    assert rope([]) == rope([1.0] * 64) == rope([], rope__scaling__type="none") == Rope(theta=500_000.0)
    linear = Rope(theta=500_000.0, kind="linear", factor=4.0)
    assert rope([], rope__scaling__type="linear", rope__scaling__factor=4.0) == linear
    assert rope([], rope__scale_linear=4.0) == linear  # as old files say it
    del (found := head()).metadata["llama.rope.freq_base"]
    assert config_of(found, [], tied=False).rope.theta == 10_000
    for told in ([1.0] * 60 + [2.0] * 4, [1.0 + at / 10 for at in range(64)], [0.5] * 64):
        with pytest.raises(OuroError, match="a rule that cannot be recovered from the file"):
            rope(told)
    for values in ({"rope__scaling__type": "yarn"}, {"rope__scaling__type": "longrope", "rope__scaling__factor": 2.0}):
        with pytest.raises(OuroError, match=r"positions of the kind '(yarn|longrope)' cannot be loaded"):
            rope([], **values)


def test_ends_and_heads() -> None:
    config = config_of(head(), [], tied=True)
    assert (config.stops, config.start) == ((128_009, 128_008), 128_000)
    assert (config.head_size, config.heads, config.key_heads, config.tied, config.bias) == (128, 16, 8, True, False)
    assert config_of(head(attention__key_length=64, attention__value_length=64), [], tied=True).head_size == 64
    for values in ({"rope__dimension_count": 64}, {"attention__value_length": 64}):
        with pytest.raises(OuroError, match="partial rotary positions, or heads of two sizes"):
            config_of(head(**values), [], tied=True)
    with pytest.raises(OuroError, match=r"has no number under 'llama\.attention\.head_count'"):
        config_of(head(attention__head_count=[16, 8]), [], tied=True)
    with pytest.raises(OuroError, match=r"one part of split weights") as caught:
        found = head()
        found.metadata["split.count"] = 3
        config_of(found, [], tied=True)
    assert "llama-gguf-split --merge" in caught.value.remedy


def test_factors_are_read_from_the_file(kernel_extra: None, tmp_path: Path) -> None:
    """Waves of heads of 16 numbers are few: the rule must have two of them between its ends."""
    rope = Rope(theta=THETA, kind="llama3", factor=4.0, high=64.0, original=40_000)
    model = write_tiny(tmp_path, architecture="llama", pre="smollm", rope_factors=factors(rope, WIDTH // HEADS // 2))
    found = config_in(run(model)).rope
    assert (found.kind, found.original, found.factor) == ("llama3", 40_000, 4.0)


def test_a_rule_that_cannot_be_told_leaves_nothing(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny(tmp_path, architecture="llama", pre="smollm", rope_factors=[1.0, 2.0, 1.0, 2.0] * 2)
    with pytest.raises(OuroError, match="a rule that cannot be recovered") as caught:
        run(model)
    assert "published folder" in caught.value.remedy
    assert made(tmp_path) == []
