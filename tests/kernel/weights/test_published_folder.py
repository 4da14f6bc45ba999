"""Published folders: Ouro, Qwen2 and Llama in safetensors, in one file or several, of any float."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from kernel.weights import store
from kernel.weights.own import describe_weights
from ledger.errors import OuroError
from tests.kernel.tiny import TEMPLATE
from tests.kernel.tiny_ouro import LAYERS, STEPS, TinyOuro, random_numbers, write_published, write_tiny_ouro
from tests.kernel.weights.converting import config_in, made, run_own, tensors, unpacked


def expected(model: TinyOuro) -> dict[str, Any]:
    """Our parameters as float32, from the published ones."""
    import torch

    of = model.numbers
    found = {"embed": of["model.embed_tokens.weight"], "norm": of["model.norm.weight"], "head": of["lm_head.weight"]}
    found["gate.weight"] = of["model.early_exit_gate.weight"][0]
    found["gate.bias"] = of["model.early_exit_gate.bias"]
    for layer in range(LAYERS):
        at, there = f"layers.{layer}.", f"model.layers.{layer}."
        found |= {
            f"{at}attention_norm": of[f"{there}input_layernorm.weight"],
            f"{at}after_attention": of[f"{there}input_layernorm_2.weight"],
            f"{at}feed_norm": of[f"{there}post_attention_layernorm.weight"],
            f"{at}after_feed": of[f"{there}post_attention_layernorm_2.weight"],
            f"{at}qkv": torch.cat([of[f"{there}self_attn.{part}_proj.weight"] for part in "qkv"]),
            f"{at}out": of[f"{there}self_attn.o_proj.weight"],
            f"{at}gate_up": torch.cat([of[f"{there}mlp.{part}_proj.weight"] for part in ("gate", "up")]),
            f"{at}down": of[f"{there}mlp.down_proj.weight"],
        }
    return found


@pytest.mark.parametrize("kind", ["bf16", "f16", "f32"])
@pytest.mark.parametrize("shards", [1, 3])
def test_every_number_of_an_ouro_comes_through(
    kernel_extra: None, tmp_path: Path, kind: Literal["bf16", "f16", "f32"], shards: int
) -> None:
    import torch

    model = write_tiny_ouro(tmp_path / "ouro", kind=kind, shards=shards)
    found, wanted = tensors(run_own(model.folder, tmp_path, "fp32")), expected(model)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].dtype == torch.float32 and torch.equal(found[name], value), name


@pytest.fixture(scope="module")
def ouro(kernel_extra: None, tmp_path_factory: pytest.TempPathFactory) -> TinyOuro:
    return write_tiny_ouro(tmp_path_factory.mktemp("published") / "tiny-ouro")


def test_the_other_forms_of_an_ouro(ouro: TinyOuro, tmp_path: Path) -> None:
    import torch

    wanted = expected(ouro)
    plain = tensors(run_own(ouro.folder, tmp_path, "bf16"))
    assert plain.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(plain[name], value.bfloat16() if value.ndim == 2 else value), name
    eight, four = (tensors(run_own(ouro.folder, tmp_path, form)) for form in ("int8", "int4"))
    for name, value in wanted.items():
        if value.ndim == 2 and name != "embed":
            scale = eight[f"{name}.scale"][:, None]
            assert ((eight[f"{name}.int8"] * scale - value).abs() <= scale * 0.5001).all(), name
            assert torch.linalg.norm(unpacked(four, name) - value) / torch.linalg.norm(value) < 0.09, name
        else:
            assert torch.equal(eight[name], plain[name]) and torch.equal(four[name], plain[name]), name


def test_configuration_tokenizer_template_and_stamp(ouro: TinyOuro, tmp_path: Path) -> None:
    folder = run_own(ouro.folder, tmp_path)
    config = config_in(folder)
    assert (config.family, config.layers, config.steps, config.core) == ("ouro", LAYERS, STEPS, (0, LAYERS))
    assert (config.sandwich, config.norm_each_step, config.gate, config.tied) == (True, True, True, False)
    assert config.stops == (2, 0)  # whatever the published configuration says
    assert (folder / "tokenizer.json").read_bytes() == (ouro.folder / "tokenizer.json").read_bytes()
    assert (folder / "chat_template.jinja").read_text() == TEMPLATE
    sums = json.loads((folder / store.STAMP).read_text())["sums"]
    assert sums.keys() == {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}
    assert all(len(found) == 64 for found in sums.values())


def test_templates_and_stops_that_lie_beside(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny_ouro(tmp_path / "ouro")
    (model.folder / "chat_template.jinja").write_text("its own file")
    (model.folder / "generation_config.json").write_text('{"eos_token_id": [5, 2]}')
    folder = run_own(model.folder, tmp_path)
    assert (folder / "chat_template.jinja").read_text() == "its own file"
    assert config_in(folder).stops == (2, 0, 5)

    (model.folder / "chat_template.jinja").unlink()
    several = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]
    (model.folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": several}))
    assert (run_own(model.folder, tmp_path) / "chat_template.jinja").read_text() == "yes"
    (model.folder / "tokenizer_config.json").unlink()
    assert not (run_own(model.folder, tmp_path) / "chat_template.jinja").exists()
    assert len(made(tmp_path)) == 3  # a folder that has changed is converted afresh


QWEN = {
    "model_type": "qwen2",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 304,
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "eos_token_id": 2,
}


def test_a_tied_qwen2_with_biases_that_stores_its_head_too(kernel_extra: None, tmp_path: Path) -> None:
    """And, as old writers did, numbers that follow from the configuration."""
    import torch

    numbers = random_numbers(QWEN, 5)
    extra = {"lm_head.weight": torch.ones(304, 64), "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}
    model = write_published(tmp_path / "qwen", QWEN, numbers | extra)
    folder = run_own(model.folder, tmp_path)
    found = tensors(folder)
    assert "head" not in found and config_in(folder).tied
    biases = [model.numbers[f"model.layers.1.self_attn.{part}_proj.bias"] for part in "qkv"]
    assert torch.equal(found["layers.1.qkv.bias"], torch.cat(biases))


def stored(folder: Path) -> tuple[dict[str, Any], bytes]:
    """Table and tensors of the folder's safetensors file."""
    raw = (folder / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def store_again(folder: Path, table: dict[str, Any], data: bytes) -> None:
    text = json.dumps(table).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def rename(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        table, data = stored(folder)
        table[new] = table.pop(old)
        store_again(folder, table, data)

    return change


def set_in_table(**fields: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        table, data = stored(folder)
        table["model.norm.weight"] |= fields
        store_again(folder, table, data)

    return change


def set_config(**fields: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | fields
        (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v != "leave out"}))

    return change


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None  # type: ignore[func-returns-value]


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (rename("model.norm.weight", "model.layers.0.input_layernorm_3.weight"), r"lack model\.norm\.weight\."),
    "unknown": (rename("model.norm.weight", "model.norm.weight_2"), r"The weights lack model\.norm\.weight\."),
    "shape": (
        set_in_table(shape=[2, 32]),
        r"model\.norm\.weight has the shape \[2, 32\]; by the configuration it is \[64\]",
    ),
    "dtype": (set_in_table(dtype="F8_E4M3"), r"holds 'model\.norm\.weight' as F8_E4M3, which cannot be read"),
    "offsets": (set_in_table(data_offsets=[5, 3]), "is not a safetensors file, or its header is damaged"),
    "cut off": (cut, r"model\.safetensors is cut off: 100 bytes are missing"),
    "pickle": (write("model.safetensors", b"\x80\x04\x95" + bytes(500)), "is not a safetensors file"),
    "empty": (write("model.safetensors", b""), "is not a safetensors file"),
    "kind": (set_config(model_type="gpt_neox"), "Models of the type 'gpt_neox' cannot be loaded"),
    "activation": (set_config(hidden_act="gelu"), "with the activation 'gelu' cannot be loaded"),
    "number": (set_config(rope_theta="leave out"), r"config\.json has no 'rope_theta'"),
    "heads": (set_config(num_key_value_heads=3), "does not fit together"),
    "layers": (set_config(num_hidden_layers=4), r"lack model\.layers\.3\.input_layernorm\.weight, .* and 8 more"),
    "vocabulary": (set_config(vocab_size=300), r"has the shape \[304, 64\]; by the configuration it is \[300, 64\]"),
    "no object": (write("config.json", b"[1]"), r"config\.json holds no JSON object"),
    "no json": (write("config.json", b"{"), r"config\.json cannot be read as JSON"),
    "tokenizer": (write("tokenizer.json", b'{"model": 5}'), r"tokenizer\.json cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_and_nothing_is_left(kernel_extra: None, tmp_path: Path, case: str) -> None:
    change, sentence = WRONG[case]
    model = write_tiny_ouro(tmp_path / "ouro")
    change(model.folder)
    with pytest.raises(OuroError, match=sentence) as caught:
        run_own(model.folder, tmp_path)
    assert caught.value.message.startswith("The weights of ouro could not be converted: ") and caught.value.remedy
    assert made(tmp_path) == []


def test_a_tensor_that_no_decoder_has(kernel_extra: None, tmp_path: Path) -> None:
    import torch

    numbers = random_numbers(QWEN, 5) | {"model.layers.0.self_attn.q_norm.weight": torch.ones(16)}
    model = write_published(tmp_path / "qwen", QWEN, numbers)
    with pytest.raises(
        OuroError, match=r"tensors that are not part of the decoder: model\.layers\.0\.self_attn\.q_norm\.weight"
    ):
        run_own(model.folder, tmp_path)
    assert made(tmp_path) == []


def test_more_tokens_than_the_model_has_rows(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny_ouro(tmp_path / "ouro", vocab_size=256)
    with pytest.raises(OuroError, match=r"tokenizer\.json has 276 tokens, and the model only 256"):
        run_own(model.folder, tmp_path)


def test_plain_text_that_would_become_a_control_token(kernel_extra: None, tmp_path: Path) -> None:
    """A vocabulary whose merges spell a control token: what others write could end a turn."""
    model = write_tiny_ouro(tmp_path / "ouro")
    path = model.folder / "tokenizer.json"
    found = json.loads(path.read_text())
    found["added_tokens"].append(
        {**found["added_tokens"][0], "id": found["model"]["vocab"]["return"], "content": "return"}
    )
    path.write_text(json.dumps(found))
    with pytest.raises(OuroError, match="Plain text could become the special token 'return'"):
        run_own(model.folder, tmp_path)


def test_too_little_space_is_said_before_anything_is_read(kernel_extra: None, tmp_path: Path) -> None:
    """A sparse file of four terabytes: to read it, even for its sum, would take hours."""
    config = QWEN | {"num_hidden_layers": 1, "tie_word_embeddings": True, "intermediate_size": 1 << 34}
    folder = tmp_path / "huge"
    folder.mkdir()
    from kernel.engine.model.config import config_from_published
    from kernel.weights.checkpoint import published_shapes

    at, table = 0, {}
    for name, shape in published_shapes(config_from_published(config)).items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        table[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    store_again(folder, table, b"")
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(file.seek(0, 2) + at)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(OuroError, match=r"The weights need \d+\.\d GB and the disk has") as caught:
        run_own(folder, tmp_path)
    assert "Free some space" in caught.value.remedy
    assert made(tmp_path) == []


def test_own_weights_that_change_before_they_are_converted(kernel_extra: None, tmp_path: Path) -> None:
    from kernel.cancel import CancelToken
    from kernel.weights.convert import convert_weights
    from tests.kernel.weights.converting import quiet

    model = write_tiny_ouro(tmp_path / "ouro")
    name, weights = describe_weights(model.folder)
    cut(model.folder)
    with pytest.raises(OuroError, match="have changed or are gone") as caught:
        convert_weights(name, weights, form="bf16", models_dir=tmp_path, progress=quiet, cancel=CancelToken())
    assert "Start again" in caught.value.remedy
