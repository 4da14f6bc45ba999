"""The decode canary on made-up generations: what it must notice, and what it must leave alone."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import cycle, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.canary import Baseline, Canary, CollapseDetected, Levels, TokenStep, adjust_decoding, load_levels
from kernel.canary.copies import GRAM, CopyTracker
from kernel.canary.detector import CALM, MOST_PENALTY, MOST_STEPS
from kernel.canary.features import FEATURES, WINDOW, FeatureTracker
from ledger.errors import ProviderBadOutput
from tests.kernel.canary_levels import LEVELS

IN_TIME = 40

probability = st.floats(0.0, 1.0)
steps = st.lists(
    st.builds(TokenStep, st.integers(0, 5), probability, st.floats(0.0, 12.0), st.floats(-40.0, 0.0)), max_size=120
)
prompts = st.lists(st.integers(0, 5), max_size=60)


def sure(token: int) -> TokenStep:
    return TokenStep(token, 0.99, 0.02, -0.01)


def new(token: int) -> TokenStep:
    """A token that the model had to think about."""
    return TokenStep(token, 0.3, 1.4, -1.1)


def prose(count: int, seed: int = 1) -> Iterator[TokenStep]:
    """Every third token is a surprise, as in ordinary text."""
    source = random.Random(seed)
    for at in range(count):
        token = source.randrange(1000, 9000)
        yield new(token) if at % 3 == 0 else TokenStep(token, 0.8, 0.4, -0.2)


def table(rows: int, *, frame: int, fresh: int, first: int = 20_000) -> list[TokenStep]:
    """Rows of ``frame`` tokens that never change around ``fresh`` tokens that always do."""
    out: list[TokenStep] = []
    for row in range(rows):
        out += [sure(token) for token in range(frame // 2)]
        out += [new(first + row * fresh + at) for at in range(fresh)]
        out += [sure(token) for token in range(frame // 2, frame)]
    return out


def alarm(found: list[TokenStep], context: list[int] | None = None) -> tuple[int | None, str]:
    canary = Canary(LEVELS, context or [])
    for at, step in enumerate(found):
        reading = canary.push(step)
        if reading.alarm:
            return at, reading.signal
    return None, "none"


# --- what it must notice ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [1, 2, 5, 12, 20, 26])
def test_a_loop_is_stopped_in_time_whatever_its_period(period: int) -> None:
    onset = 60 + period  # where the second telling begins
    loop = islice(cycle(range(100, 100 + period)), 200)
    at, signal = alarm([*prose(60), *map(sure, loop)])
    assert at is not None and onset < at < onset + IN_TIME
    assert signal in ("loop", "copy", "repeat", "echo")


@pytest.mark.parametrize("period", [45, 90])
def test_a_long_cycle_is_stopped_once_it_has_closed(period: int) -> None:
    at, _ = alarm([*prose(30), *map(sure, islice(cycle(range(100, 100 + period)), 400))])
    assert at is not None and at < 30 + 2 * period + IN_TIME


def test_a_loop_that_stood_in_the_prompt_is_not_given_a_second_start() -> None:
    line = list(range(100, 124))
    at, _ = alarm([sure(token) for token in line * 8], context=[*range(500, 600), *line * 3])
    assert at is not None and at < 24


def test_garbage_is_stopped_in_time() -> None:
    source = random.Random(3)
    hot = [TokenStep(source.randrange(150_000), 0.05, 7.0, -9.0) for _ in range(60)]
    at, signal = alarm([*prose(50), *hot])
    assert at is not None and 50 < at < 50 + IN_TIME
    assert signal in ("entropy", "surprise")


def test_a_passage_of_the_prompt_that_is_told_over_and_over_is_stopped() -> None:
    passage = list(range(300, 330))
    prompt = [*range(1, 50), *passage, *range(60, 80)]
    at, _ = alarm([sure(token) for token in passage * 6], context=prompt)
    assert at is not None and 30 <= at < 30 + IN_TIME


def test_a_counter_that_never_ends_does_not_look_like_the_end_of_the_world_at_once() -> None:
    """Ten numbered lines are a list. Whoever must stop a thousand of them has a token limit."""
    rows = [[*map(sure, range(100, 106)), sure(3000 + number)] for number in range(10)]
    assert alarm([step for row in rows for step in row]) == (None, "none")


# --- what it must leave alone -----------------------------------------------------------------------------------------


CLEAN: dict[str, Callable[[], list[TokenStep]]] = {
    "prose": lambda: list(prose(400)),
    "table": lambda: table(25, frame=6, fresh=4),
    "imports": lambda: table(30, frame=2, fresh=2),
    "dict entries": lambda: table(30, frame=6, fresh=3),
    "test cases": lambda: table(20, frame=10, fresh=4),
    "a rule of dashes": lambda: [*prose(20), *map(sure, [7, 8] * 6), *prose(40, seed=2)],
    "three empty rows": lambda: [*prose(20), *map(sure, [7, 8, 9, 10, 11] * 3), *prose(40, seed=2)],
}


@pytest.mark.parametrize("kind", CLEAN)
def test_code_that_repeats_for_a_reason_raises_no_alarm(kind: str) -> None:
    assert alarm(CLEAN[kind]()) == (None, "none")


def test_an_edit_may_copy_most_of_its_prompt() -> None:
    code = list(range(1000, 1180))
    answer = [*map(sure, code[:90]), new(5), *map(sure, code[91:])]
    assert alarm(answer, context=[*range(50), *code, *range(60, 90)]) == (None, "none")


def test_a_quiet_start_is_no_alarm() -> None:
    canary = Canary(LEVELS)
    assert canary.push(sure(1)).proximity < 0.1


# --- the rules --------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(steps, prompts)
def test_readings_are_in_range_repeatable_and_bounded_in_memory(found: list[TokenStep], context: list[int]) -> None:
    canary, second = Canary(LEVELS, context), Canary(LEVELS, context)
    readings = []
    for count, step in enumerate(found, start=1):
        reading = canary.push(step)
        readings.append(reading)
        assert 0.0 <= reading.proximity <= 1.0
        assert reading.signal in (*FEATURES, "none")
        assert not reading.alarm or reading.proximity >= LEVELS.alarm
        assert canary.entries <= len(context) + count + WINDOW
    assert [second.push(step) for step in found] == readings


@settings(deadline=None, max_examples=150)
@given(prompts, st.lists(st.integers(0, 3), max_size=80))
def test_a_run_is_a_true_copy(context: list[int], answer: list[int]) -> None:
    copies, stream = CopyTracker(context), list(context)
    for token in answer:
        copies.push(token)
        stream.append(token)
        grams = [tuple(stream[at : at + GRAM]) for at in range(len(stream) - GRAM + 1)]
        own = grams[max(len(context) - GRAM + 1, 0) : -1]
        assert copies.seen == (bool(grams) and len(stream) >= GRAM and grams[-1] in own)
        assert 0 <= copies.stale <= copies.run <= len(stream) - len(context)
        if copies.run >= GRAM:
            tail = stream[-copies.run :]
            assert any(stream[at : at + copies.run] == tail for at in range(len(stream) - copies.run))


def test_the_alarm_needs_patience() -> None:
    hot = [TokenStep(at, 0.0, 12.0, -12.0) for at in range(40)]
    canary = Canary(LEVELS)
    readings = [canary.push(step) for step in hot]
    over = [reading.proximity >= LEVELS.alarm for reading in readings]
    first = over.index(True)
    assert [reading.alarm for reading in readings].index(True) == first + LEVELS.patience - 1


def test_one_absurd_token_is_no_garbage() -> None:
    assert alarm([*prose(30), TokenStep(1, 0.0, 11.0, -35.0), *prose(30, seed=2)]) == (None, "none")


def test_what_a_step_does_not_tell_raises_nothing() -> None:
    features = FeatureTracker()
    untold = [features.push(TokenStep(at, None, None, None)) for at in range(50)]
    assert {values[5:] for values in untold} == {untold[0][5:]}


@settings(deadline=None)
@given(probability, probability, probability, st.floats(1.0, 2.0))
def test_knobs_only_grow(one: float, two: float, q: float, penalty: float) -> None:
    low, high = sorted((one, two))
    less, more = (
        adjust_decoding(low, q=q, repetition_penalty=penalty),
        adjust_decoding(high, q=q, repetition_penalty=penalty),
    )
    assert less.extra_steps <= more.extra_steps <= MOST_STEPS
    assert q <= less.q <= more.q <= 1.0 + 1e-9
    assert penalty <= less.repetition_penalty <= more.repetition_penalty <= penalty * MOST_PENALTY + 1e-9


def test_knobs_leave_a_calm_generation_alone_and_turn_fully_in_a_collapse() -> None:
    calm, full = adjust_decoding(CALM, q=0.5), adjust_decoding(1.0, q=0.5)
    assert (calm.extra_steps, calm.q, calm.repetition_penalty) == (0, 0.5, 1.0)
    assert (full.extra_steps, full.q, full.repetition_penalty) == (MOST_STEPS, 1.0, MOST_PENALTY)


@pytest.mark.parametrize("wrong", [-0.01, 1.01, float("nan")])
def test_knobs_refuse_what_is_no_proximity(wrong: float) -> None:
    with pytest.raises(ValueError, match="not in"):
        adjust_decoding(wrong)


# --- levels and the error ---------------------------------------------------------------------------------------------


def test_levels_are_shipped_and_an_unknown_model_gets_the_default() -> None:
    default = load_levels("a model that nobody calibrated")
    assert default == load_levels("default")
    for levels in (default, load_levels("text")):
        assert set(levels.features) == set(FEATURES)
        assert levels.features["loop"].weight > 0
        assert Canary(levels).push(sure(1)).proximity < levels.alarm


def test_levels_must_name_every_feature() -> None:
    with pytest.raises(ValueError, match="exactly these features"):
        Levels(bias=0.0, alarm=0.5, patience=1, features={"loop": Baseline(mean=0.0, deviation=1.0, weight=1.0)})


def test_the_error_says_what_why_and_what_to_do() -> None:
    error = CollapseDetected(0.93, "loop", 117, provider="local")
    assert isinstance(error, ProviderBadOutput)
    assert (error.proximity, error.signal, error.tokens, error.provider) == (0.93, "loop", 117, "local")
    assert "117 tokens" in error.message and "loop" in error.message and error.remedy.endswith(".")


def test_the_canary_needs_no_torch() -> None:
    code = "import sys, kernel.canary; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
