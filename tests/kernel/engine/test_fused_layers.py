"""A few tokens through all layers at once: as layer by layer, and as the numbers that the weights stand for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from kernel.engine.cache.batch import Batch, CacheFormat
from kernel.engine.cache.packing import Row
from kernel.engine.cache.prefill import Prefill
from kernel.engine.model.assemble import assemble, product_maker
from kernel.engine.model.config import LoopConfig, Rope
from kernel.engine.model.decoder import AttentionView, LoopModel
from kernel.engine.model.passes import adaptive_pass, full_pass
from kernel.weights.four_bits import pack_blocks, quantise_rows
from tests.kernel.weights.converting import unpacked

WIDTH, HEADS, SIZE, INNER, LAYERS, VOCABULARY = 128, 4, 64, 832, 4, 50  # inner: more than one ticket, and a part of one
PROMPT = [7, 3, 9, 21, 4, 40, 11]


def config(kind: str) -> LoopConfig:
    ouro = kind == "ouro"
    return LoopConfig(
        family="ouro" if ouro else "qwen2",
        vocabulary=VOCABULARY,
        width=WIDTH,
        inner=INNER,
        layers=LAYERS,
        heads=HEADS,
        key_heads=HEADS if ouro else 2,
        head_size=SIZE,
        context=512,
        epsilon=1e-6,
        rope=Rope(theta=1e4),
        tied=False,
        bias=not ouro,
        steps={"ouro": 3, "core": 2}.get(kind, 1),
        core=(1, 3) if kind == "core" else (0, LAYERS),
        sandwich=ouro,
        norm_each_step=ouro,
        gate=ouro,
    )


def tensors(of: LoopConfig) -> dict[str, Any]:
    random = torch.Generator().manual_seed(4)

    def draw(*shape: int, spread: float = 0.1) -> Any:
        return torch.randn(shape, generator=random) * spread

    keys = of.key_heads * SIZE
    found = {"embed": draw(VOCABULARY, WIDTH, spread=1), "norm": 1 + draw(WIDTH), "head": draw(VOCABULARY, WIDTH)}
    if of.gate:
        found |= {"gate.weight": draw(WIDTH), "gate.bias": torch.zeros(1)}
    shapes = {"qkv": (HEADS * SIZE + 2 * keys, WIDTH), "out": (WIDTH, HEADS * SIZE)}
    shapes |= {"gate_up": (2 * INNER, WIDTH), "down": (WIDTH, INNER)}
    for layer in range(LAYERS):
        at = f"layers.{layer}."
        for norm in ("attention_norm", "after_attention", "feed_norm", "after_feed"):
            found[at + norm] = 1 + draw(WIDTH)
        for name, shape in shapes.items():
            found[f"{at}{name}.int4"] = torch.from_numpy(pack_blocks(quantise_rows(draw(*shape).numpy())))
        if of.bias:
            found[f"{at}qkv.bias"] = draw(shapes["qkv"][0])
    return found


def exact(found: dict[str, Any]) -> dict[str, Any]:
    """The same weights as plain numbers."""
    whole = {name: value for name, value in found.items() if not name.endswith(".int4")}
    return whole | {name[:-5]: unpacked(found, name[:-5]) for name in found if name.endswith(".int4")}


@pytest.fixture(params=["qwen", "ouro", "core"])
def models(request: pytest.FixtureRequest) -> tuple[LoopModel, LoopModel, LoopModel]:
    """All at once, layer by layer, and in float32."""
    of = config(request.param)
    found = tensors(of)
    quick, plain = (assemble(of, found, product_maker(found)) for _ in range(2))
    plain.fused = None
    whole = exact(found)
    return quick, plain, assemble(of, whole, product_maker(whole))


def batch(model: LoopModel) -> Batch:
    memory = CacheFormat(torch.float32, model.config.steps, model.config.steps)
    prefill = Prefill(model, memory, 256)
    trunk = prefill.trunk([])
    rows = [Row(0, tuple(PROMPT), 0, 40)]
    store, _ = prefill.rows(trunk, rows, room=40)
    return Batch(model, memory, trunk, store, rows, 1)


def written(model: LoopModel, sizes: tuple[int, ...]) -> Any:
    """States behind passes of so many tokens each, one after the other."""
    own, found, token = batch(model), [], 5
    for size in sizes:
        tokens = [(token + i) % VOCABULARY for i in range(size)]
        found.append(full_pass(model, torch.tensor([tokens]), own.view(size), model.config.steps)[0])
        token += 3 * size
    return torch.cat(found)


def away(one: Any, other: Any) -> float:
    return float(torch.linalg.norm(one - other) / torch.linalg.norm(other))


@torch.inference_mode()
def test_the_same_as_layer_by_layer(models: tuple[LoopModel, LoopModel, LoopModel]) -> None:
    quick, plain, whole = models
    sizes = (1, 1, 4, 2, 1, 3, 1)
    found, wanted, numbers = (written(model, sizes) for model in (quick, plain, whole))
    assert away(found[:1], wanted[:1]) < 0.002
    # another order of additions tips a rounding now and then, and a loop makes more of it
    assert away(found, wanted) < away(wanted, numbers)
    assert away(found, numbers) < 1.2 * away(wanted, numbers) < 0.05
    assert quick.passes == plain.passes


@torch.inference_mode()
def test_threads_change_nothing(models: tuple[LoopModel, LoopModel, LoopModel]) -> None:
    """More than there are cores: some come late, or are set aside in the middle."""
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 8, 2, 8):
            torch.set_num_threads(threads)
            found.append(written(models[0], (1, 3, 1)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


class Spy:
    """What is taken, and what is not."""

    def __init__(self, quick: Any) -> None:
        self._quick, self.taken = quick, list[bool]()

    def takes(self, state: Any, view: AttentionView) -> bool:
        self.taken.append(self._quick.takes(state, view))
        return self.taken[-1]

    def run(self, *arguments: Any) -> Any:
        return self._quick.run(*arguments)


@pytest.fixture
def spied() -> Iterator[tuple[LoopModel, Spy]]:
    found = tensors(config("qwen"))
    model = assemble(config("qwen"), found, product_maker(found))
    spy = Spy(model.fused)
    model.fused = spy
    yield model, spy


@torch.inference_mode()
def test_one_answer_and_few_tokens_are_taken(spied: tuple[LoopModel, Spy]) -> None:
    model, spy = spied
    own = batch(model)
    spy.taken.clear()
    for size in (1, 4, 5):
        full_pass(model, torch.ones(1, size, dtype=torch.int64), own.view(size), 1)
    assert spy.taken == [True, True, False]


@torch.inference_mode()
def test_eight_bit_keys_and_several_answers_are_not_taken(spied: tuple[LoopModel, Spy]) -> None:
    model, spy = spied
    rows = [Row(at, (*PROMPT, at), 0, 8) for at in range(2)]
    for memory, some in (
        (CacheFormat(torch.float32, 1, 1, int8=True), rows[:1]),
        (CacheFormat(torch.float32, 1, 1), rows),
    ):
        prefill = Prefill(model, memory, 256)
        trunk = prefill.trunk([])
        store, _ = prefill.rows(trunk, some, room=8 if len(some) == 1 else 0)
        own = Batch(model, memory, trunk, store, some, 1)
        spy.taken.clear()
        full_pass(model, torch.ones(len(some), 1, dtype=torch.int64), own.view(), 1)
        assert spy.taken == [False]


@torch.inference_mode()
def test_an_exit_in_between_leaves_the_same_keys() -> None:
    """Steps are computed one by one then; what later tokens look at is what the plain way writes."""
    from kernel.engine.model.exits import ExitRule

    of = config("ouro")
    found = tensors(of)
    rule = ExitRule("qexit", 3, q=0.6)
    states = []
    for quick in (True, False):
        model = assemble(of, found, product_maker(found))
        if not quick:
            model.fused = None
        own, seen = batch(model), []
        for token in (5, 9, 14, 2):
            passed = adaptive_pass(model, torch.tensor([[token]]), own.view(), rule)
            seen.append((passed.state.clone(), passed.walk.depth.clone()))
        states.append(seen)
    for (one, depth), (other, wanted) in zip(*states, strict=True):
        assert torch.equal(depth, wanted)
        assert away(one, other) < 0.03
    assert {int(depth) for _, depth in states[0]} & {1, 2}, "nothing left early: the rule was not tried"


@pytest.mark.parametrize("change", [{"head_size": 32}, {"int8": "layers.2.down"}])
def test_other_forms_go_layer_by_layer(change: dict[str, Any]) -> None:
    of, found = config("qwen"), tensors(config("qwen"))
    if "head_size" in change:
        from kernel.engine.model.fused_layers import FusedLayers

        layers = assemble(of, found, product_maker(found))._layers
        assert FusedLayers.of(of.model_copy(update=change), layers) is None
        return
    name = change["int8"]
    weight = unpacked(found, name)
    scale = weight.abs().amax(dim=1) / 127
    del found[f"{name}.int4"]
    found |= {f"{name}.int8": (weight / scale[:, None]).round().char(), f"{name}.scale": scale}
    assert assemble(of, found, product_maker(found)).fused is None
