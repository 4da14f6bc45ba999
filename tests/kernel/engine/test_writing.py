"""Answers as the engine writes them: guesses change nothing, knobs turn, depth is told, a collapse ends it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from kernel.canary import CollapseDetected, load_levels
from kernel.engine.cache.batch import CacheFormat
from kernel.engine.cache.packing import Row
from kernel.engine.decoding.answer import GeneratedAnswer
from kernel.engine.decoding.sampling import SamplingOptions
from kernel.engine.engine import CAUTIOUS_NGRAM, BatchLimits, DecodeOptions, DecodeRequest, Engine
from kernel.engine.model.decoder import LoopModel
from kernel.engine.model.exits import ExitRule
from tests.kernel.engine.scene import OURO, QWEN, memory, model_of, weights
from tests.kernel.engine.words import Words

PROMPT = (5, 9, 33, 2, 17, 40, 8, 5, 9, 33, 2, 17, 40, 8, 21, 60, 1)
LENGTH = 40


class Counting(LoopModel):
    """Counts how often the core is entered, whatever the number of tokens."""

    steps_done = 0

    def step(self, state: Any, step: int, view: Any) -> Any:
        self.steps_done += 1
        return super().step(state, step, view)


CORE = {"first": 1, "end": 3, "steps": 3}  # of a plain model, with a prelude and a coda


def engine(
    raw: dict[str, Any], rule: ExitRule, kept: CacheFormat, *, core: dict[str, int] | None = None, **numbers: Any
) -> Engine:
    model = model_of(raw, weights(raw, **numbers), **(core or {}))
    model.__class__ = Counting
    return Engine(model=model, vocabulary=Words(), memory=kept, rule=rule, bounds=BatchLimits(64, 4096, 8))


def write(made: Engine, options: DecodeOptions, length: int = LENGTH) -> GeneratedAnswer:
    (trail,) = made.answer(DecodeRequest([], [Row(0, PROMPT, 0, length)], [()], options))
    return trail


SAMPLED = SamplingOptions(temperature=0.9, top_p=0.95, seed=3)


@pytest.mark.parametrize("sampling", [SamplingOptions(), SAMPLED, SamplingOptions(penalty=1.3, ngram=3)])
@pytest.mark.parametrize("spread", [0.2, 0.02])
@pytest.mark.parametrize(("raw", "core"), [(OURO, None), (QWEN, None), (QWEN, CORE)], ids=["ouro", "qwen", "core"])
def test_guesses_change_no_token(
    raw: dict[str, Any], core: dict[str, int] | None, sampling: SamplingOptions, spread: float
) -> None:
    steps = core["steps"] if core else raw.get("total_ut_steps", 1)
    made = engine(raw, ExitRule("fixed", steps), memory(steps), core=core, spread=spread)
    plain = write(made, DecodeOptions(sampling))
    guessed = write(made, DecodeOptions(sampling, speculate=True))
    assert guessed.answer.numbers == plain.answer.numbers and len(plain.answer.numbers) == LENGTH
    assert guessed.answer.logprob == pytest.approx(plain.answer.logprob, abs=1e-3)


@pytest.mark.parametrize(("raw", "spread"), [(OURO, 0.004), (QWEN, 0.2)], ids=["ouro", "qwen"])
def test_right_guesses_save_passes(raw: dict[str, Any], spread: float) -> None:
    """An Ouro model whose first step says nearly what the last one says, and a plain one that repeats itself."""
    steps = raw.get("total_ut_steps", 1)
    made = engine(raw, ExitRule("fixed", steps), memory(steps), spread=spread)
    write(made, DecodeOptions(SamplingOptions()))
    alone = made.model.steps_done
    write(made, DecodeOptions(SamplingOptions(), speculate=True))
    assert made.model.steps_done - alone < 0.7 * alone


def test_guesses_go_through_the_coda_as_the_answer_does() -> None:
    """The core adds nothing here, so every guess is right as long as the coda sees the same keys."""
    numbers = weights(QWEN, spread=1.0)
    for layer in range(CORE["first"], CORE["end"]):
        for name in ("self_attn.o_proj", "mlp.down_proj"):
            numbers[f"model.layers.{layer}.{name}.weight"].zero_()
    model = model_of(QWEN, numbers, **CORE)
    model.__class__ = Counting
    steps = CORE["steps"]
    made = Engine(
        model=model,
        vocabulary=Words(),
        memory=memory(steps),
        rule=ExitRule("fixed", steps),
        bounds=BatchLimits(64, 4096, 8),
    )
    write(made, DecodeOptions(SamplingOptions()))
    alone = made.model.steps_done
    write(made, DecodeOptions(SamplingOptions(), speculate=True))
    assert made.model.steps_done - alone < 0.7 * alone


def test_wrong_guesses_cost_little() -> None:
    made = engine(OURO, ExitRule("fixed", 4), memory(4))  # random weights: a step changes everything
    write(made, DecodeOptions(SamplingOptions()))
    alone = made.model.steps_done
    write(made, DecodeOptions(SamplingOptions(), speculate=True))
    assert made.model.steps_done - alone < 1.15 * alone


def test_one_slot_for_all_steps_takes_no_guesses_that_would_be_wrong() -> None:
    made = engine(OURO, ExitRule("fixed", 4), memory(4, held=1))
    assert (
        write(made, DecodeOptions(SamplingOptions(), speculate=True)).answer.numbers
        == write(made, DecodeOptions(SamplingOptions())).answer.numbers
    )


def test_keys_in_one_byte_are_close_and_small() -> None:
    whole, small = memory(4), memory(4, int8=True)
    rule = ExitRule("fixed", 4)
    one, other = (write(engine(OURO, rule, kept), DecodeOptions(SamplingOptions())) for kept in (whole, small))
    assert other.answer.numbers[:8] == one.answer.numbers[:8]
    model = model_of(OURO, weights(OURO))
    sizes = [kept.store(model, rows=2, capacity=100).bytes for kept in (small, whole)]
    assert sizes[0] < 0.4 * sizes[1]  # heads of 8 numbers here: the scales weigh more than in a real model


def test_last_step_reuse_quarters_the_memory_of_answers() -> None:
    model = model_of(OURO, weights(OURO))
    one, four = memory(4, held=1), memory(4)
    assert one.store(model, rows=1, capacity=64, answer=True).bytes * 4 == four.store(model, rows=1, capacity=64).bytes
    assert one.store(model, rows=1, capacity=64).bytes == four.store(model, rows=1, capacity=64).bytes


def test_realised_depth_and_reason_are_told_per_token_and_call() -> None:
    made = engine(OURO, ExitRule("qexit", 4, q=0.5), memory(4), gate_bias=30.0)
    trail = write(made, DecodeOptions(SamplingOptions()))
    assert trail.depths.per_token == [4] + [1] * (LENGTH - 1)  # a prompt goes to full depth
    report = trail.report()
    assert report.depth_milli == round(1000 * (4 + LENGTH - 1) / LENGTH) and report.exit == "gate"
    deep = write(engine(OURO, ExitRule("fixed", 4), memory(4)), DecodeOptions(SamplingOptions())).report()
    assert (deep.depth_milli, deep.exit) == (4000, "depth")
    assert deep.contraction_milli is not None and deep.contraction_milli > 0
    plain = write(engine(QWEN, ExitRule("fixed", 1), memory(1)), DecodeOptions(SamplingOptions())).report()
    assert (plain.depth_milli, plain.contraction_milli) == (1000, None)


class Stuck(LoopModel):
    """Always says the same three tokens, whatever comes."""

    said = 0

    def scores(self, state: Any) -> Any:
        out = torch.full((*state.shape[:-1], 61), -4.0)
        for row in out.view(-1, 61):
            row[(7, 8, 9)[self.said % 3]] = 9.0
            self.said += 1
        return out


def stuck() -> Engine:
    made = engine(OURO, ExitRule("qexit", 2, q=0.2), CacheFormat(torch.float32, 4, 4))
    made.model.__class__ = Stuck
    return made


def test_a_collapse_ends_an_answer_where_it_may() -> None:
    levels = load_levels("default")
    with pytest.raises(CollapseDetected) as caught:
        write(stuck(), DecodeOptions(SamplingOptions(), levels=levels, on_alarm="raise"), 300)
    assert caught.value.tokens < 60 and caught.value.proximity > 0.5
    watched = write(stuck(), DecodeOptions(SamplingOptions(), levels=levels), 100)
    assert watched.answer.tokens == 100 and watched.report().proximity_milli > 500
    assert watched.report().signal == caught.value.signal and watched.report().alarm
    stopped = write(stuck(), DecodeOptions(SamplingOptions(), levels=levels, on_alarm="stop"), 300)
    assert (stopped.answer.finish, stopped.answer.tokens) == ("collapsed", caught.value.tokens)
    assert write(stuck(), DecodeOptions(SamplingOptions()), 100).report().proximity_milli == 0


def test_a_restless_canary_deepens_the_loop() -> None:
    levels = load_levels("default")
    calm = write(stuck(), DecodeOptions(SamplingOptions(), levels=levels), 80).depths.per_token
    adapted = write(stuck(), DecodeOptions(SamplingOptions(), levels=levels, adapt=True), 80).depths.per_token
    assert max(calm[1:]) <= 2 and max(adapted[1:]) == 4 and adapted[-1] > calm[-1]


def test_cancelling_stops_within_a_step() -> None:
    from kernel.cancel import Cancelled, CancelToken

    made, token = engine(OURO, ExitRule("fixed", 4), memory(4)), CancelToken()
    seen: list[int] = []

    def on_token(trail: GeneratedAnswer) -> None:
        seen.append(trail.answer.tokens)
        if trail.answer.tokens == 5:
            token.cancel()

    ask = DecodeRequest(
        [], [Row(0, PROMPT, 0, LENGTH)], [()], DecodeOptions(SamplingOptions()), on_token=on_token, cancel=token
    )
    with pytest.raises(Cancelled):
        made.answer(ask)
    assert seen == [1, 2, 3, 4, 5]
    with pytest.raises(Cancelled):
        made.answer(replace(ask, on_token=None))


def test_behind_a_collapse_the_loop_is_deeper() -> None:
    made = engine(OURO, ExitRule("qexit", 3, q=0.3), memory(4), gate_bias=0.0)
    plain = write(made, DecodeOptions(SamplingOptions())).report()
    careful = write(made, DecodeOptions(SamplingOptions(), caution=0.95)).report()
    assert careful.depth_milli > plain.depth_milli
    whole = write(
        engine(OURO, ExitRule("fixed", 3), memory(4)), DecodeOptions(SamplingOptions(), caution=0.95)
    ).report()
    assert whole.depth_milli > 3_900, "as far as there are places for more steps"


def test_behind_a_collapse_less_is_said_again() -> None:
    made = engine(QWEN, ExitRule("fixed", 1), memory(1))
    plain, careful = (write(made, DecodeOptions(SamplingOptions(), caution=c)).answer.numbers for c in (0.0, 0.95))
    assert len(set(careful)) > len(set(plain))
    speculated = write(made, DecodeOptions(SamplingOptions(), caution=0.95, speculate=True)).answer.numbers
    rounds = write(stuck(), DecodeOptions(SamplingOptions(), caution=0.95), 200).answer.numbers
    runs = [tuple(rounds[at : at + CAUTIOUS_NGRAM]) for at in range(len(rounds) - CAUTIOUS_NGRAM + 1)]
    assert len(set(runs)) == len(runs), "a loop is left"
    assert speculated == careful
