"""A tiny model with random weights: a GGUF file as a publisher would make it, and the same numbers for comparison."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel.weights.registry import HttpSource, PublishedFile, Weights

LAYERS, WIDTH, HEADS, KEY_HEADS, INNER = 2, 64, 4, 2, 128
NAME = "qwen2.5-coder-0.5b"  # the policy's entry that the tiny model stands in for
CONTEXT = 32_768
THETA, EPSILON = 1_000_000.0, 1e-6
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
USER_DEFINED = "<tool_call>"
PADDED_VOCABULARY = 304
MERGES = ("i n", "e r", "r e", "Ġ Ġ", "d e", "de f", "re t", "u r", "ur n", "ret urn", "Ġ return", "t o", "a l")
DEFAULT_SYSTEM = "You mend code."
TEMPLATE = (  # of the family's kind: a system turn that may be missing, tool answers inside a user's turn
    "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\n"
    + DEFAULT_SYSTEM
    + "<|im_end|>\n' }}{%- endif %}"
    "{%- for m in messages %}{%- if m.role == 'tool' %}"
    "{{- '<|im_start|>user\n<tool_response>\n' + m.content + '\n</tool_response><|im_end|>\n' }}"
    "{%- else %}{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
NORMAL_TYPE, CONTROL_TYPE, USER_TYPE, PADDING_TYPE = 1, 3, 4, 5


def byte_symbols() -> list[str]:
    """The printable stand-ins for the 256 bytes in the order of byte-level vocabularies."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) for byte in shown] + [chr(256 + i) for i in range(len(hidden))]


def vocabulary() -> tuple[list[str], list[int]]:
    """Tokens and their types."""
    plain = [*byte_symbols(), *(merge.replace(" ", "") for merge in MERGES)]
    tokens = [*plain, *CONTROL, USER_DEFINED]
    types = [NORMAL_TYPE] * len(plain) + [CONTROL_TYPE] * len(CONTROL) + [USER_TYPE]
    padding = PADDED_VOCABULARY - len(tokens)
    return [*tokens, *(f"[PAD{i}]" for i in range(padding))], types + [PADDING_TYPE] * padding


@dataclass(frozen=True)
class Tiny:
    """The file, what a registry would say about it, and its numbers as float32 by their name in the file."""

    folder: Path
    weights: Weights
    numbers: dict[str, Any]
    inner: int = INNER


def write_tiny(
    folder: Path,
    *,
    tied_head: bool = False,
    output: bool = True,
    inner: int = INNER,
    seed: int = 7,
    pre: str = "qwen2",
    architecture: str = "qwen2",
    kinds: Mapping[str, str] | None = None,
    rope_factors: Sequence[float] = (),
) -> Tiny:
    """``output`` False leaves the output matrix out of the file; ``kinds``: how some tensors are stored, by part.

    A file of the architecture llama has no biases, and its queries and keys in the order of its writers.
    """
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import dequantize, quantize

    eight, half, whole = GGMLQuantizationType.Q8_0, GGMLQuantizationType.F16, GGMLQuantizationType.F32
    random = np.random.default_rng(seed)
    path = folder / "tiny.gguf"
    writer = GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_rope_freq_base(THETA)
    writer.add_layer_norm_rms_eps(EPSILON)
    tokens, types = vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_chat_template(TEMPLATE)
    numbers: dict[str, Any] = {}

    def put(name: str, *shape: int, spread: float = 0.25, kind: GGMLQuantizationType = half) -> None:
        values = random.standard_normal(shape, dtype=np.float32) * spread
        if name.endswith("norm.weight"):
            values += 1
        if name == "output.weight" or (name == "token_embd.weight" and not output):
            values[tokens.index(CONTROL[0]) :] = 0  # never the most probable: an answer goes on until its limit
        told = (kinds or {}).get(name.split(".")[-2], "")
        kind = GGMLQuantizationType[told] if told and name.endswith(".weight") else kind
        if kind == GGMLQuantizationType.Q4_K:
            stored: Any = _random_q4_k(random, *shape)
        else:
            stored = quantize(values, kind) if kind != whole else values
        numbers[name] = dequantize(stored, kind) if kind != whole else values
        if architecture == "llama" and name.endswith(("attn_q.weight", "attn_k.weight")):
            stored = side_by_side(stored, shape[0] * HEADS // WIDTH)
        writer.add_tensor(name, stored, raw_dtype=kind)

    put("token_embd.weight", PADDED_VOCABULARY, WIDTH, spread=1.0)
    if output:
        put("output.weight", PADDED_VOCABULARY, WIDTH, spread=0.5, kind=whole)
    put("output_norm.weight", WIDTH, spread=0.1, kind=whole)
    if rope_factors:
        writer.add_tensor("rope_freqs.weight", np.array(rope_factors, dtype=np.float32))
    keys = WIDTH // HEADS * KEY_HEADS
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        for norm in ("attn_norm", "ffn_norm"):
            put(f"{at}{norm}.weight", WIDTH, spread=0.1, kind=whole)
        for part, rows in (("q", WIDTH), ("k", keys), ("v", keys)):
            put(f"{at}attn_{part}.weight", rows, WIDTH)
            if architecture == "qwen2":
                put(f"{at}attn_{part}.bias", rows, kind=whole)
        put(f"{at}attn_output.weight", WIDTH, WIDTH)
        put(f"{at}ffn_gate.weight", inner, WIDTH, kind=eight)
        put(f"{at}ffn_up.weight", inner, WIDTH, kind=eight)
        put(f"{at}ffn_down.weight", WIDTH, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Tiny(folder=folder, weights=entry(path, tied_head=tied_head), numbers=numbers, inner=inner)


def side_by_side(rows: Any, heads: int) -> Any:
    """What writers of the architecture llama do to queries and keys: the numbers that are turned together meet."""
    halves = rows.reshape(heads, 2, len(rows) // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def _random_q4_k(random: Any, rows: int, columns: int) -> Any:
    """Stored bytes (rows, columns / 256 * 144): any steps, offsets and codes, behind two sound factors."""
    import numpy as np

    blocks = random.integers(0, 256, (rows, columns // 256, 144), dtype=np.uint8)
    factors = random.uniform(1e-4, 1e-3, (rows, columns // 256, 2)).astype(np.float16)
    blocks[..., :4] = factors.view(np.uint8)
    return blocks.reshape(rows, -1)


def entry(path: Path, *, tied_head: bool = False) -> Weights:
    """What a registry would say about the file."""
    data = path.read_bytes()
    return Weights(
        files=(PublishedFile(name=path.name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()),),
        tied_head=tied_head,
        sources=(HttpSource(address="http://127.0.0.1:9"),),
    )


def published_form(tiny: Tiny) -> Any:
    """The model as transformers itself builds it from the same numbers, in float32."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    parts = {
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    names = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output.weight": "lm_head.weight",
        "output_norm.weight": "model.norm.weight",
    }
    for layer in range(LAYERS):
        for short, long in parts.items():
            for end in ("weight", "bias"):
                names[f"blk.{layer}.{short}.{end}"] = f"model.layers.{layer}.{long}.{end}"
    state = {names[name]: torch.from_numpy(value) for name, value in tiny.numbers.items()}
    config = Qwen2Config(
        vocab_size=PADDED_VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=tiny.inner,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=EPSILON,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        tie_word_embeddings="lm_head.weight" not in state,
        attn_implementation="eager",
    )
    model = Qwen2ForCausalLM(config)
    found = model.load_state_dict(state, strict=False)
    assert not found.unexpected_keys and set(found.missing_keys) <= {"lm_head.weight"}, found
    return model.float().eval()
