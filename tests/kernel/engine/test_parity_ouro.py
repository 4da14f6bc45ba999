"""The engine against a naive reference: every depth, exit rule and hole policy, cached and not, padded and not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from kernel.engine.model.exits import ExitRule
from tests.kernel.engine.naive import Naive, by_bend, by_change, by_gate, stay
from tests.kernel.engine.scene import OURO, QWEN, decoded, memory, model_of, shape_of, weights

PROMPTS = ([5, 9, 33, 2, 17, 40, 8, 8, 21, 60, 1], [5, 9, 33, 2, 17, 40, 12], [3, 44])
ANSWERS = ([7, 7, 19, 50, 2, 31], [11, 3, 58, 4, 4, 26], [20, 41, 6, 9, 35, 13])

Leave = Callable[[int, list[Any]], bool]


def expected(
    published: dict[str, Any], model: Any, steps: int, leave: Callable[[Naive], Leave], holes: str
) -> tuple[list[list[Any]], list[list[int]]]:
    """Each prompt by itself, uncached and unpadded; the prompt goes to full depth."""
    logits, depths = [], []
    for prompt, answer in zip(PROMPTS, ANSWERS, strict=True):
        naive = Naive(shape_of(model.config), published, steps, holes, prompt=len(prompt))
        found = [naive.token(token, stay) for token in prompt][-1:]
        found += [naive.token(token, leave(naive)) for token in answer]
        logits.append(found)
        depths.append(naive.depths[len(prompt) :])
    return logits, depths


def farthest(left: list[list[Any]], right: list[list[Any]]) -> float:
    return max(float((a - b).abs().max()) for x, y in zip(left, right, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("shared", [0, 7])
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_every_depth_is_the_naive_decoder(steps: int, shared: int) -> None:
    published = weights(OURO)
    model = model_of(OURO, published)
    found, _ = decoded(model, memory(steps), ExitRule("fixed", steps), PROMPTS, ANSWERS, shared=shared)
    wanted, _ = expected(published, model, steps, lambda _: stay, "copy_last")
    assert farthest(found, wanted) < 1e-4


@pytest.mark.parametrize("holes", ["copy_last", "last_step_reuse"])
@pytest.mark.parametrize(
    ("rule", "leave"),
    [
        (ExitRule("fixed", 4), lambda naive: stay),
        (ExitRule("qexit", 4, q=0.5), lambda naive: by_gate(naive, 0.5)),
        (ExitRule("qexit", 4, q=0.8), lambda naive: by_gate(naive, 0.8)),
        (ExitRule("qexit", 4, q=0.0), lambda naive: by_gate(naive, 0.0)),
        (ExitRule("converge", 4, eps=0.9), lambda naive: by_change(0.9)),
        (ExitRule("accel", 4, eps=0.72, patience=1), lambda naive: by_bend(0.72, 1)),
        (ExitRule("accel", 6, eps=0.72, patience=2), lambda naive: by_bend(0.72, 2)),
    ],
)
def test_every_exit_rule_and_hole_policy_is_the_naive_decoder(
    rule: ExitRule, leave: Callable[[Naive], Leave], holes: str
) -> None:
    published = weights(OURO)
    model = model_of(OURO, published)
    kept = memory(rule.steps, held=1 if holes == "last_step_reuse" else rule.steps)
    found, depths = decoded(model, kept, rule, PROMPTS, ANSWERS)
    wanted, wanted_depths = expected(published, model, rule.steps, leave, holes)
    assert depths == wanted_depths
    assert farthest(found, wanted) < 1e-4
    if rule.adaptive:
        every = {depth for row in depths for depth in row}
        assert every == {1} if rule.kind == "qexit" and rule.q == 0 else len(every) > 1, every


def test_a_core_with_prelude_and_coda_is_the_naive_decoder() -> None:
    published = weights(QWEN)
    model = model_of(QWEN, published, first=1, end=3, steps=3)
    found, _ = decoded(model, memory(3), ExitRule("fixed", 3), PROMPTS, ANSWERS)
    wanted, _ = expected(published, model, 3, lambda _: stay, "copy_last")
    assert farthest(found, wanted) < 1e-4


def test_full_depth_with_the_exit_machinery_is_bit_for_bit_fixed_depth() -> None:
    published = weights(OURO, gate_bias=30.0)  # a gate that would leave at once: its chance rounds to one
    model = model_of(OURO, published)
    fixed, _ = decoded(model, memory(4), ExitRule("fixed", 4), PROMPTS, ANSWERS)
    for q in (1.0, 2.0):
        found, depths = decoded(model, memory(4), ExitRule("qexit", 4, q=q), PROMPTS, ANSWERS)
        assert all(torch.equal(a, b) for x, y in zip(found, fixed, strict=True) for a, b in zip(x, y, strict=True))
        assert {depth for row in depths for depth in row} == {4}


def test_a_gate_made_to_exit_saves_block_passes() -> None:
    """Depth is real: layers computed are counted, not assumed."""
    counted = {}
    for depth, bias in ((1, 30.0), (4, -30.0)):
        model = model_of(OURO, weights(OURO, gate_bias=bias))
        decoded(model, memory(4), ExitRule("qexit", 4, q=0.5), PROMPTS, [a[:1] for a in ANSWERS])
        before = model.passes
        decoded(model, memory(4), ExitRule("qexit", 4, q=0.5), PROMPTS, ANSWERS)
        prompts_alone = model.passes - before
        counted[depth] = prompts_alone
    layers, answer = OURO["num_hidden_layers"], len(ANSWERS[0])
    assert counted[4] - counted[1] == answer * layers * 3
