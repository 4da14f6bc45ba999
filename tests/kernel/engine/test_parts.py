"""The parts of the engine by themselves: configuration, positions, products, exits, guesses, stores."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kernel.engine.cache.batch import Batch
from kernel.engine.cache.key_values import KeyValues
from kernel.engine.cache.packing import Row
from kernel.engine.cache.prefill import Prefill
from kernel.engine.decoding.speculative import LONGEST_PAUSE, MOST, DraftPacer, PromptLookup
from kernel.engine.forms import run_trials
from kernel.engine.model.assemble import assemble, product_maker
from kernel.engine.model.attention import CachePart, Sharing, frequencies
from kernel.engine.model.config import LoopConfig, Rope, config_from_published
from kernel.engine.model.exits import ExitRule, ExitTracker
from kernel.engine.model.passes import full_pass
from kernel.engine.model.products import FloatProduct, Int8Product, Nf4Product, PairedProduct, state_levels
from kernel.weights.checkpoint import published_shapes
from ledger.errors import ConfigError, OuroError
from tests.kernel.engine.scene import OURO, QWEN, engine_names, memory, model_of, weights

BIG_OURO = {
    **OURO,
    "hidden_size": 2048,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 128,
    "intermediate_size": 5632,
    "vocab_size": 49152,
}


@pytest.mark.parametrize(("layers", "total"), [(24, 1_434_652_673), (48, 2_667_974_657)])
def test_the_published_sizes_have_their_number_of_weights(layers: int, total: int) -> None:
    config = config_from_published({**BIG_OURO, "num_hidden_layers": layers})
    shapes = published_shapes(config)
    assert sum(torch.empty(shape, device="meta").numel() for shape in shapes.values()) == total
    in_layer = ["input_layernorm", "input_layernorm_2", "post_attention_layernorm", "post_attention_layernorm_2"]
    in_layer += [f"self_attn.{x}_proj" for x in "qkvo"] + [f"mlp.{x}_proj" for x in ("gate", "up", "down")]
    expected = {f"model.layers.{i}.{name}.weight" for i in range(layers) for name in in_layer}
    expected |= {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}
    expected |= {"model.early_exit_gate.weight", "model.early_exit_gate.bias"}
    assert set(shapes) == expected
    assert shapes["model.early_exit_gate.weight"] == (1, 2048) and shapes["model.early_exit_gate.bias"] == (1,)


def test_special_numbers_of_ouro_are_not_believed() -> None:
    config = config_from_published(OURO)
    assert (config.stops, config.start) == ((2, 0), 1)
    assert config_from_published({**OURO, "eos_token_id": [2, 9], "bos_token_id": 1}).stops == (2, 9)
    assert (config.steps, config.core, config.sandwich, config.norm_each_step, config.gate) == (4, (0, 3), *[True] * 3)
    assert config_from_published(QWEN).bias and config_from_published(QWEN).stops == (7,)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_type": "mamba"}, "'mamba' cannot be loaded"),
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"attention_bias": True}, "attention_bias"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "'yarn'"),
        ({"num_key_value_heads": 3}, "cannot share 3 key heads"),
        ({"hidden_size": "wide"}, "does not fit together"),
        ({"rms_norm_eps": None}, "does not fit together"),
    ],
)
def test_a_shape_that_cannot_be_had_is_said_so(change: dict[str, Any], says: str) -> None:
    with pytest.raises(OuroError, match=says):
        config_from_published({**QWEN, **change})
    with pytest.raises(OuroError, match="has no 'hidden_size'"):
        config_from_published({key: value for key, value in QWEN.items() if key != "hidden_size"})


def test_slots_of_layers_and_steps_never_meet() -> None:
    whole = config_from_published(OURO)
    assert [whole.slot(layer, step, 4) for step in range(4) for layer in range(3)] == list(range(12))
    part = config_from_published(QWEN).with_core(1, 3, 3)
    places = [(0, 0), *[(layer, step) for step in range(3) for layer in (1, 2)], (3, 0)]
    assert sorted(part.slot(layer, step, 3) for layer, step in places) == list(range(part.slots(3)))
    assert part.slot(3, 2, 3) == part.slot(3, 0, 3) == 7
    with pytest.raises(ValueError, match="does not lie in 4 layers"):
        part.with_core(2, 9, 2)


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "default"},
        {"rope_type": "linear", "factor": 4.0},
        {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    ],
)
def test_positions_are_those_of_the_published_code(rope: dict[str, Any], kernel_extra: None) -> None:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    theirs = LlamaRotaryEmbedding(LlamaConfig(head_dim=64, rope_parameters={"rope_theta": 5e5, **rope}))
    names = {
        "rope_type": "kind",
        "low_freq_factor": "low",
        "high_freq_factor": "high",
        "original_max_position_embeddings": "original",
    }
    ours = Rope.model_validate({"theta": 5e5, **{names.get(key, key): value for key, value in rope.items()}})
    assert torch.allclose(frequencies(ours, 64), theirs.inv_freq, rtol=1e-6)


def test_integers_are_close_and_an_outlier_costs_only_itself() -> None:
    random = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(48, 64, generator=random), torch.ones(48)
    weight[3] = 0
    scale = weight.abs().amax(dim=1).clamp(min=1e-12) / 127
    product = Int8Product((weight / scale[:, None]).round().to(torch.int8), scale, bias)
    x = torch.randn(2, 5, 64, generator=random)
    x[0, 0] *= 1000
    exact = FloatProduct(weight, bias)(x)
    found = product(x)
    assert found.shape == exact.shape
    allowed = 38 / state_levels()
    assert (found - exact)[:, 1:].abs().max() < allowed and (found - exact)[1].abs().max() < allowed
    alone = product(x[1:, 2:3])
    assert torch.equal(alone[0, 0], found[1, 2])  # a token does not depend on its company


def test_few_and_many_tokens_take_their_own_form() -> None:
    asked: list[str] = []

    def form(name: str) -> Any:
        return lambda x, front, onto: asked.append(name)

    product = PairedProduct(form("narrow"), form("wide"), 2)
    for shape in ((1, 1, 8), (2, 1, 8), (1, 3, 8), (3, 8)):
        product(torch.zeros(shape))
    assert asked == ["narrow", "narrow", "wide", "wide"]


def test_a_trial_knows_every_form_of_this_processor() -> None:
    found = run_trials(256, 512)
    assert {"fp32", "int8"} <= set(found) <= {"fp32", "bf16", "int8", "int4"}
    assert all(ms > 0 for trial in found.values() for ms in trial.values())
    assert set(found["fp32"]) == {1, 2, 4, 16, 256}


def exit_distribution(chances: torch.Tensor) -> torch.Tensor:
    """Probability of leaving at each step, as published: what the gate says of what has not left; the rest at last."""
    staying = torch.cumprod(1 - chances[:-1], dim=0)
    one = torch.ones(1, dtype=chances.dtype)
    return torch.cat((one, staying)) * torch.cat((chances[:-1], one))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 1))
def test_the_distribution_over_steps_adds_up_and_the_last_word_is_not_asked(chances: list[float], last: float) -> None:
    found = exit_distribution(torch.tensor(chances, dtype=torch.float64))
    assert float(found.sum()) == pytest.approx(1) and float(found.min()) >= 0
    assert bool((found.cumsum(-1).diff() >= 0).all())
    other = exit_distribution(torch.tensor([*chances[:-1], last], dtype=torch.float64))
    assert torch.equal(found, other)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-4, 4), min_size=2, max_size=6), st.floats(0.01, 0.99))
def test_a_token_leaves_where_the_distribution_reaches_the_share(gates: list[float], q: float) -> None:
    steps = len(gates)
    reached = exit_distribution(torch.sigmoid(torch.tensor(gates, dtype=torch.float64))).cumsum(0)
    assume(bool((reached[:-1] - q).abs().min() > 1e-5))  # a tie is decided by rounding
    walk, row = ExitTracker(ExitRule("qexit", steps, q=q), 1), torch.tensor([0])
    for step, gate in enumerate(gates, 1):
        if walk.after(step, torch.randn(1, 4), row, torch.tensor([gate])).any():
            break
    expected = next((at + 1 for at in range(steps - 1) if float(reached[at]) >= q), steps)
    assert int(walk.depth[0]) == expected
    assert bool(walk.left_early[0]) == (expected < steps)


def test_a_rule_says_whether_it_can_leave_early() -> None:
    assert not ExitRule("fixed", 4).adaptive and not ExitRule("qexit", 4, q=1).adaptive
    assert ExitRule("qexit", 4, q=0.9).adaptive and not ExitRule("qexit", 4, q=0.9, floor=4).adaptive
    with pytest.raises(ConfigError, match="no exit gate"):
        ExitRule("qexit", 4).check(gate=False, steps=4)
    ExitRule("qexit", 1).check(gate=False, steps=1)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_rows_meet_the_group_that_they_share(group: list[int]) -> None:
    sharing, rows = Sharing.of(group, 5), len(group)
    x = torch.arange(float(rows * 2 * 3 * 2)).view(rows, 2, 3, 2)
    gathered = sharing.gather(x)
    assert gathered.shape == (5, 2, max(group.count(g) for g in range(5)) * 3, 2)
    assert torch.equal(sharing.scatter(gathered, 3), x)
    some = torch.arange(rows)[::2]
    assert torch.equal(sharing.only(some).scatter(sharing.only(some).gather(x[some]), 3), x[some])


def test_what_stood_behind_the_last_tokens_is_guessed() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5, 6, 1, 2])
    assert not lookup.hit and lookup.guess(3) == []
    lookup.push(3)
    assert lookup.hit and lookup.guess(2) == [4, 5] and lookup.guess(9) == [4, 5, 6, 1, 2, 3]
    lookup.push(9)
    assert not lookup.hit


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, MOST), max_size=60))
def test_guesses_follow_their_luck(luck: list[int]) -> None:
    pace, waited = DraftPacer(), 0
    for right in luck:
        guesses = pace.next(MOST)
        assert 0 <= guesses <= MOST and pace.wait <= LONGEST_PAUSE
        if guesses:
            pace.record(guesses, min(right, guesses))
        waited += guesses == 0
    if luck and min(luck) >= MOST:
        assert waited == 0 and pace.length == min(2 + 2 * len(luck), MOST)
    if luck and max(luck) == 0:
        assert pace.length <= 2


def store_of(config: LoopConfig, **fields: Any) -> KeyValues:
    return KeyValues(config, **{"steps": 4, "held": 4, "rows": 2, "capacity": 6, "dtype": torch.float32, **fields})


@pytest.mark.parametrize("int8", [False, True])
def test_a_dropped_row_is_replaced_by_the_last(int8: bool) -> None:
    config = config_from_published(OURO)
    store = store_of(config, rows=3, int8=int8)
    key = torch.randn(3, config.key_heads, 2, config.head_size)
    store.write(1, 2, key, key * 2, None)
    store.advance(2)
    close = 0.0 if not int8 else 0.05
    assert (store.read(1, 2, 2, None)[0] - key).abs().max() <= close
    store.drop(0)
    keys, values = store.read(1, 2, 2, None)
    assert keys.shape[0] == 2
    assert (keys - key[[2, 1]]).abs().max() <= close and (values - 2 * key[[2, 1]]).abs().max() <= 2 * close


def test_steps_that_were_not_done_are_filled_by_the_last_one() -> None:
    config = config_from_published(OURO)
    store, shape = store_of(config), (2, config.key_heads, 1, config.head_size)
    for layer in range(3):
        for step in range(2):
            store.write(
                layer, step, torch.full(shape, layer + 10.0 * step), torch.full(shape, -layer - 10.0 * step), None
            )
    store.copy_last(torch.tensor([1]), 1)
    store.advance(1)
    for layer in range(3):
        keys, values = store.read(layer, 3, 1, None)
        assert float(keys[1, 0, 0, 0]) == layer + 10 and float(values[1, 0, 0, 0]) == -layer - 10
        assert float(keys[0, 0, 0, 0]) == 0  # the other row may still go on
        assert float(store.read(layer, 0, 1, None)[0][1, 0, 0, 0]) == layer


def test_the_state_is_normed_once_a_step_and_not_again() -> None:
    """A second norm at the end goes unnoticed in a text and is wrong: the scores come from the normed state itself."""
    published = weights(OURO)
    model = model_of(OURO, published)
    state = torch.randn(1, 1, 32)
    with torch.inference_mode():
        assert torch.equal(model.end(state, model.view(torch.zeros(1, 1), [])), state)
        assert torch.allclose(model.scores(state), state @ published["lm_head.weight"].t(), atol=1e-5)
    assert memory(4).store(model, rows=1, capacity=1).held == 4


def test_every_tensor_of_a_pass_is_where_the_model_is() -> None:
    """On a device without numbers an operand from elsewhere is an error, as it is on a GPU."""
    config = config_from_published(OURO)
    tensors = {name: tensor.to("meta") for name, tensor in engine_names(config, weights(OURO)).items()}
    model, kept = assemble(config, tensors, product_maker(tensors, "meta"), "meta"), memory(4)
    with torch.inference_mode():
        trunk = Prefill(model, kept, 7).trunk(list(range(20)))
        rows = [Row(0, tuple(range(30)), 18, 5), Row(1, tuple(range(25)), 18, 5)]
        store, scores = Prefill(model, kept, 64).rows(trunk, rows)
        batch = Batch(model, kept, trunk, store, rows, 2)
        full_pass(model, torch.zeros(4, 1, dtype=torch.long), batch.view(), 4)
        batch.drop(0)
        batch.rearrange()
        states = full_pass(model, torch.zeros(3, 2, dtype=torch.long), batch.view(2), 4)
        assert scores.device.type == model.scores(states).device.type == "meta"
        with pytest.raises(RuntimeError):
            full_pass(
                model,
                torch.zeros(3, 1, dtype=torch.long),
                model.view(torch.zeros(3, 1), [CachePart(store_of(config, rows=3))]),
                4,
            )


def test_four_bits_of_a_gpu_are_close() -> None:
    pytest.importorskip("bitsandbytes")
    weight, x = torch.randn(128, 256), torch.randn(3, 256)
    exact = x @ weight.t()
    found = Nf4Product(weight.bfloat16(), torch.zeros(128))(x)
    assert (found - exact).abs().mean() < 0.15 * exact.abs().mean()
