"""The tensors of a published checkpoint, against what is known of the real ones."""

from __future__ import annotations

from math import prod

import pytest

from kernel.engine.model.config import LoopConfig, config_from_published
from kernel.weights.checkpoint import check_tensors, expected_parameters, published_shapes
from ledger.errors import OuroError
from tests.kernel.tiny_ouro import ouro_config

REAL = {"hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 128}
REAL |= {"intermediate_size": 5632, "vocab_size": 49152}
BYTES = {24: (2_869_336_434, 31_088), 48: (5_336_011_242, 61_928)}  # of the published file, and of its head


def real(layers: int) -> LoopConfig:
    return config_from_published(ouro_config(num_hidden_layers=layers, **REAL))


@pytest.mark.parametrize(("layers", "count"), [(24, 1_434_652_673), (48, 2_667_974_657)])
def test_a_real_ouro_has_just_these_numbers(layers: int, count: int) -> None:
    config = real(layers)
    shapes = published_shapes(config)
    assert sum(map(prod, shapes.values())) == expected_parameters(config) == count
    size, head = BYTES[layers]
    assert 2 * count + head == size
    assert len(shapes) == 11 * layers + 5
    check_tensors(config, shapes)


def test_the_names_are_those_of_the_published_class() -> None:
    shapes = published_shapes(real(24))
    at = "model.layers.23."
    assert {name: shape for name, shape in shapes.items() if name.startswith(at)} == {
        **{f"{at}self_attn.{part}_proj.weight": (2048, 2048) for part in "qkvo"},
        **{f"{at}mlp.{part}_proj.weight": (5632, 2048) for part in ("gate", "up")},
        f"{at}mlp.down_proj.weight": (2048, 5632),
        f"{at}input_layernorm.weight": (2048,),
        f"{at}input_layernorm_2.weight": (2048,),
        f"{at}post_attention_layernorm.weight": (2048,),
        f"{at}post_attention_layernorm_2.weight": (2048,),
    }
    assert {name: shape for name, shape in shapes.items() if ".layers." not in name} == {
        "model.embed_tokens.weight": (49152, 2048),
        "model.norm.weight": (2048,),
        "model.early_exit_gate.weight": (1, 2048),
        "model.early_exit_gate.bias": (1,),
        "lm_head.weight": (49152, 2048),
    }


def test_an_ouro_of_the_real_size_with_other_numbers_is_none_of_the_published() -> None:
    config = config_from_published(ouro_config(num_hidden_layers=24, **{**REAL, "intermediate_size": 5120}))
    with pytest.raises(
        OuroError, match=r"have 1,359,155,201 parameters; the published Ouro of 24 layers has 1,434,652"
    ):
        check_tensors(config, published_shapes(config))


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
@pytest.mark.parametrize("tied", [False, True])
def test_plain_decoders_have_what_transformers_gives_them(kernel_extra: None, kind: str, tied: bool) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    numbers = {
        "vocab_size": 304,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": tied,
    }
    model = Qwen2ForCausalLM(Qwen2Config(**numbers)) if kind == "qwen2" else LlamaForCausalLM(LlamaConfig(**numbers))
    config = config_from_published({**model.config.to_dict(), "model_type": kind})
    found = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if tied:
        del found["lm_head.weight"]
    assert published_shapes(config) == found
    assert expected_parameters(config) is None
