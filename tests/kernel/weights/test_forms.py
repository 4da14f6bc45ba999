"""Every number of a converted folder, in every form, against the numbers of the file that it was made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kernel.weights import store
from tests.kernel.tiny import LAYERS, PADDED_VOCABULARY, TEMPLATE, WIDTH, Tiny, vocabulary, write_tiny
from tests.kernel.weights.converting import config_in, run, scales_of, tensors, unpacked

KINDS = {"ffn_gate": "Q4_0", "ffn_up": "Q4_1", "ffn_down": "Q4_K", "attn_v": "Q4_0"}  # the rest as ever


@pytest.fixture(scope="module")
def mixed(kernel_extra: None, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Parts of one product are stored in different kinds."""
    return write_tiny(tmp_path_factory.mktemp("mixed"), inner=256, kinds=KINDS)


def number(model: Tiny, *names: str) -> Any:
    """The rows of several stored tensors one behind the other, float32."""
    import torch

    return torch.cat([torch.from_numpy(model.numbers[name]) for name in names])


def expected(model: Tiny) -> dict[str, Any]:
    """Our parameters as float32."""
    found = {"embed": number(model, "token_embd.weight"), "norm": number(model, "output_norm.weight")}
    found["head"] = number(model, "output.weight")
    for layer in range(LAYERS):
        at, block = f"layers.{layer}.", f"blk.{layer}."
        found |= {
            f"{at}attention_norm": number(model, f"{block}attn_norm.weight"),
            f"{at}feed_norm": number(model, f"{block}ffn_norm.weight"),
            f"{at}qkv": number(model, *(f"{block}attn_{part}.weight" for part in "qkv")),
            f"{at}qkv.bias": number(model, *(f"{block}attn_{part}.bias" for part in "qkv")),
            f"{at}out": number(model, f"{block}attn_output.weight"),
            f"{at}gate_up": number(model, f"{block}ffn_gate.weight", f"{block}ffn_up.weight"),
            f"{at}down": number(model, f"{block}ffn_down.weight"),
        }
    return found


def matrices(model: Tiny) -> dict[str, Any]:
    return {name: value for name, value in expected(model).items() if value.ndim == 2 and name != "embed"}


def test_fp32_holds_the_stored_numbers_exactly(mixed: Tiny) -> None:
    import torch

    found, wanted = tensors(run(mixed, "fp32")), expected(mixed)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], value), name


def test_bf16_rounds_matrices_and_nothing_else(mixed: Tiny) -> None:
    import torch

    found, wanted = tensors(run(mixed, "bf16")), expected(mixed)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(found[name], value.bfloat16() if value.ndim == 2 else value), name


def test_int8_is_within_half_a_step(mixed: Tiny) -> None:
    import torch

    found, wanted = tensors(run(mixed, "int8")), expected(mixed)
    whole = matrices(mixed)
    assert found.keys() == (wanted.keys() - whole) | {f"{n}.{end}" for n in whole for end in ("int8", "scale")}
    for name, value in whole.items():
        integers, scale = found[f"{name}.int8"], found[f"{name}.scale"]
        assert (integers.dtype, scale.dtype) == (torch.int8, torch.float32)
        peak = value.abs().amax(dim=1)
        assert torch.equal(scale, torch.where(peak > 0, peak / 127, 1))
        assert ((integers * scale[:, None] - value).abs() <= scale[:, None] * 0.5001).all(), name
    for name in wanted.keys() - whole.keys() - {"embed"}:
        assert torch.equal(found[name], wanted[name]), name
    assert torch.equal(found["embed"], wanted["embed"].bfloat16())


FOUR_BITS = {"gate_up": ("ffn_gate", "ffn_up"), "down": ("ffn_down",), "qkv": ("attn_v",)}  # qkv: its last rows


@pytest.mark.parametrize("name", FOUR_BITS)
@pytest.mark.parametrize("layer", range(LAYERS))
def test_int4_keeps_the_codes_of_a_four_bit_file(mixed: Tiny, name: str, layer: int) -> None:
    """Each weight is off by the rounding of its group's scale and zero to bf16, and by nothing else."""
    value = number(mixed, *(f"blk.{layer}.{part}.weight" for part in FOUR_BITS[name]))
    found, at = tensors(run(mixed, "int4")), f"layers.{layer}.{name}"
    scale, zero = (s.repeat_interleave(32, dim=1)[-len(value) :].abs() for s in scales_of(found, at))
    back = unpacked(found, at)[-len(value) :]
    error, bf16 = (back - value).abs(), 2.0**-8
    assert (error <= bf16 * (8 * scale + zero)).all()  # scale and zero
    near = zero <= 8 * scale  # where that is little beside a step, another code would show
    assert near.float().mean() > 0.5
    assert (error <= 0.25 * scale)[near].all()


def test_int4_of_other_numbers_is_about_as_near_as_four_bits_can_be(mixed: Tiny) -> None:
    import torch

    folder = run(mixed, "int4")
    found, wanted = tensors(folder), expected(mixed)
    assert folder.name.endswith("-int4")
    whole = matrices(mixed)
    assert found.keys() == (wanted.keys() - whole) | {f"{n}.int4" for n in whole}
    for name in ("layers.0.out", "head"):
        value, back = whole[name], unpacked(found, name)
        assert torch.linalg.norm(back - value) / torch.linalg.norm(value) < 0.09, name
        assert found[f"{name}.int4"].dtype == torch.uint8
        assert found[f"{name}.int4"].shape == (len(value) // 4, WIDTH // 64, 160)
    assert torch.equal(found["embed"], wanted["embed"].bfloat16())
    assert torch.equal(found["layers.1.qkv.bias"], wanted["layers.1.qkv.bias"])


def test_int4_computes_what_the_numbers_compute(mixed: Tiny) -> None:
    import torch

    from kernel.engine.model.products import Int4Product

    found = tensors(run(mixed, "int4"))
    x = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(3))
    name = "layers.1.gate_up"
    out = Int4Product(found[f"{name}.int4"])(x)
    wanted = x @ matrices(mixed)[name].t()
    assert (out - wanted).abs().max() / wanted.std() < 0.03


def test_a_matrix_that_the_four_bit_product_does_not_take_is_int8(kernel_extra: None, tmp_path: Path) -> None:
    """Its inner size of 72 makes no whole blocks of 64 columns; the rows of its parts together are a multiple of 4."""
    model = write_tiny(tmp_path, inner=72, kinds={"ffn_gate": "F16", "ffn_up": "F16"})
    found = tensors(run(model, "int4"))
    assert "layers.0.gate_up.int4" in found and "layers.0.qkv.int4" in found
    assert "layers.0.down.int8" in found and "layers.0.down.scale" in found
    assert not {"layers.0.down", "layers.0.down.int4"} & found.keys()


@pytest.mark.parametrize("form", ["bf16", "fp32", "int8", "int4"])
def test_a_head_that_the_publisher_tied_is_taken_for_both(kernel_extra: None, tmp_path: Path, form: store.Form) -> None:
    """The file stores such a matrix twice, the output one with more bits."""
    import torch

    model = write_tiny(tmp_path, tied_head=True)
    folder = run(model, form)
    found, output = tensors(folder), number(model, "output.weight")
    assert torch.equal(found["embed"], output if form == "fp32" else output.bfloat16())
    assert "head" not in found
    assert {f"head.{form}"} & found.keys() == ({f"head.{form}"} if form in ("int8", "int4") else set())
    if form == "int8":
        assert torch.allclose(found["head.int8"] * found["head.scale"][:, None], output, atol=0.02)
    assert config_in(folder).tied


def test_a_file_without_an_output_matrix_shares_the_embedding(kernel_extra: None, tmp_path: Path) -> None:
    folder = run(write_tiny(tmp_path, output=False))
    assert "head" not in tensors(folder)
    assert config_in(folder).tied


def test_the_configuration_is_that_of_the_file(mixed: Tiny) -> None:
    folder = run(mixed)
    config = config_in(folder)
    tokens, _ = vocabulary()
    assert (config.family, config.vocabulary, config.width, config.inner) == ("qwen2", PADDED_VOCABULARY, WIDTH, 256)
    assert (config.layers, config.heads, config.key_heads, config.head_size) == (LAYERS, 4, 2, 16)
    assert (config.tied, config.bias, config.steps, config.gate) == (False, True, 1, False)
    assert (config.rope.kind, config.rope.theta, config.context) == ("default", 1_000_000.0, 32_768)
    assert config.stops == (tokens.index("<|im_end|>"),) and config.start == tokens.index("<|endoftext|>")
    assert (folder / "chat_template.jinja").read_text() == TEMPLATE
    stamp = json.loads((folder / store.STAMP).read_text())
    assert stamp == {"sums": {"tiny.gguf": mixed.weights.files[0].sha256}, "converter": 3, "form": "bf16"}
    assert folder.name.startswith(f"tiny-{stamp['sums']['tiny.gguf'][:8]}-v3-")


def test_slices_of_a_large_matrix_come_together(kernel_extra: None, tmp_path: Path) -> None:
    """More rows than are converted at once: the blocks of four-bit weights must not show the seams."""
    import torch

    from kernel.weights import converted_file as writing

    inner = 40_000
    model = write_tiny(tmp_path, inner=inner)
    value = number(model, "blk.1.ffn_gate.weight", "blk.1.ffn_up.weight")
    assert inner * 2 * WIDTH > writing._SLICE_NUMBERS
    found = tensors(run(model, "int4"))
    back = unpacked(found, "layers.1.gate_up")
    error = torch.linalg.norm(back - value, dim=1) / torch.linalg.norm(value, dim=1)
    assert error.max() < 0.2 and error.mean() < 0.09
