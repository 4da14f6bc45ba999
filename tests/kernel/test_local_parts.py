"""The pure parts of the local model: packing, choosing arithmetic, memory, cancelling."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.cancel import Cancelled, CancelToken
from kernel.engine.cache.packing import (
    MIN_SHARED,
    Row,
    common_prefix_length,
    share_prefix,
    split_batches,
    split_prefill,
)
from kernel.engine.decoding.sampling import assess, draw_uniforms, ngram_completions, penalise, pick, rank
from kernel.engine.forms import Arithmetic, Trial, plan_forms
from kernel.engine.runtime import available_mb, memory_shortage, parse_available_mb, release_pages

PROMPTS = st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=40), min_size=1, max_size=6)
ROWS = st.lists(
    st.builds(
        lambda own, shared, limit: (own, shared, limit), st.integers(1, 50), st.integers(0, 30), st.integers(1, 40)
    ),
    min_size=1,
    max_size=12,
).map(lambda found: [Row(i, (0,) * (own + shared), shared, limit) for i, (own, shared, limit) in enumerate(found)])


@settings(deadline=None, max_examples=100)
@given(PROMPTS, st.data())
def test_what_is_shared_is_a_true_beginning(prompts: list[list[int]], data: st.DataObject) -> None:
    prefixes = [data.draw(st.integers(1, len(prompt))) for prompt in prompts]
    trunk, rows = share_prefix(prompts, prefixes, [1] * len(prompts))
    for prompt, row in zip(prompts, rows, strict=True):
        assert row.numbers == tuple(prompt)
        assert trunk[: row.shared] == prompt[: row.shared]
        assert row.rest >= 1
        assert row.shared == 0 or row.shared >= MIN_SHARED
    assert not trunk or sum(row.shared for row in rows) > len(trunk)


def test_a_function_s_context_is_computed_once() -> None:
    context = list(range(100))
    trunk, rows = share_prefix([[*context, 200], [*context[:60], 201, 202]], [100, 60], [5, 5])
    assert trunk == context
    assert [row.shared for row in rows] == [100, 60]
    assert common_prefix_length([1, 2, 3], [1, 2]) == 2 and common_prefix_length([], [1]) == 0


@settings(deadline=None, max_examples=100)
@given(ROWS, st.integers(1, 4), st.integers(1, 300), st.integers(1, 10))
def test_batches_keep_their_bounds_and_lose_no_row(rows: list[Row], copies: int, places: int, most: int) -> None:
    found = list(split_batches(rows, copies=copies, cache_tokens=places, max_rows=most))
    assert sorted(row.span for batch in found for row in batch) == list(range(len(rows)))
    for batch in found:
        answers = len(batch) * copies
        room = len(batch) * (max(r.rest for r in batch) + copies * max(r.max_tokens for r in batch))
        assert len(batch) == 1 or (answers <= most and room <= places)


@settings(deadline=None, max_examples=100)
@given(ROWS, st.integers(1, 200))
def test_groups_keep_their_bound_and_lose_no_row(rows: list[Row], tokens: int) -> None:
    found = list(split_prefill(rows, tokens=tokens))
    assert sorted(row.span for group in found for row in group) == list(range(len(rows)))
    assert all(len(group) == 1 or len(group) * max(row.rest for row in group) <= tokens for group in found)


def trial(one: float, batch: float, prompt: float) -> Trial:
    return {1: one, 2: one, 4: one * 2, 16: batch, 256: prompt}


FP32, BF16, INT8 = trial(4, 4, 40), trial(2, 2, 10), trial(1, 1, 11)
SLOW_BF16, FOUR = trial(9, 9, 90), trial(0.8, 9, 99)


@pytest.mark.parametrize(
    ("trials", "most", "expected"),
    [
        ({"fp32": FP32, "bf16": BF16, "int8": INT8}, 9, ("bf16", None, 0)),  # int8 is faster, but not by enough
        ({"fp32": FP32, "bf16": BF16, "int8": trial(1, 1, 5)}, 9, ("int8", None, 0)),
        ({"fp32": FP32, "bf16": SLOW_BF16, "int8": INT8}, 9, ("int8", None, 0)),
        ({"fp32": FP32, "bf16": SLOW_BF16}, 9, ("fp32", None, 0)),
        ({"fp32": FP32, "bf16": SLOW_BF16}, 3, ("bf16", None, 0)),  # float32 does not fit
        ({"fp32": FP32}, 3, ("bf16", None, 0)),  # nothing else was tried: the smaller form
        ({"fp32": FP32, "bf16": SLOW_BF16, "int8": INT8, "int4": FOUR}, 9, ("int8", "int4", 4)),
        ({"fp32": FP32, "bf16": SLOW_BF16, "int8": INT8, "int4": trial(0.9, 9, 99)}, 9, ("int8", None, 0)),
        ({"fp32": FP32, "bf16": SLOW_BF16, "int8": INT8, "int4": {1: 0.5, 2: 1.1, 4: 1.1}}, 9, ("int8", "int4", 1)),
        ({"fp32": FP32, "bf16": BF16, "int4": FOUR}, 3, ("bf16", None, 0)),  # both do not fit
    ],
)
def test_forms_are_chosen_by_trial_and_memory(
    trials: dict[Arithmetic, Trial], most: int, expected: tuple[str, str | None, int]
) -> None:
    size = {"fp32": 4, "bf16": 2, "int8": 1, "int4": 2}
    chosen = plan_forms("auto", trials, fits=lambda forms: sum(size[form] for form in forms) <= most)
    assert (chosen.wide, chosen.narrow, chosen.few) == expected
    assert "fp32 4.0/4.0/8.0/4.0/40.0" in chosen.why
    assert plan_forms("int4", trials, fits=lambda _: False).arithmetics == ("int4",)


def test_repetition_is_penalised_by_rule(kernel_extra: None) -> None:
    import torch

    logits = torch.tensor([[2.0, -2.0, 1.0, 0.5]] * 2)
    found = penalise(logits, [[0, 1, 0], []], 2.0, 0)
    assert found.tolist() == [[1.0, -4.0, 1.0, 0.5], [2.0, -2.0, 1.0, 0.5]]
    assert penalise(logits, [[0], [0]], 1.0, 0) is logits
    assert (
        ngram_completions([1, 2, 3, 1, 2], 3) == {3}
        and ngram_completions([1, 2], 3) == set()
        and ngram_completions([5, 5], 1) == {5}
    )
    banned = penalise(logits, [[1, 2, 3, 1, 2], [0]], 1.0, 3)
    assert banned[0].tolist() == [2.0, -2.0, 1.0, float("-inf")] and banned[1].tolist() == logits[1].tolist()


def test_memory_is_read_and_compared() -> None:
    assert parse_available_mb("MemTotal: 99 kB\nMemAvailable:    2048000 kB\n") == 2000
    assert parse_available_mb("MemTotal: 99 kB\n") is None
    assert (available_mb() or 1) > 0
    assert memory_shortage(100, ceiling_mb=0, available=None) is None
    assert memory_shortage(100, ceiling_mb=100, available=100) is None
    assert "ceiling is 99 MB" in (memory_shortage(100, ceiling_mb=99, available=1000) or "")
    assert "99 MB are free" in (memory_shortage(100, ceiling_mb=0, available=99) or "")


def test_random_numbers_depend_on_seed_span_and_sample_only() -> None:
    first = draw_uniforms(1, 2, 3, 5)
    assert draw_uniforms(1, 2, 3, 9)[:5] == first
    others = [draw_uniforms(*key, 5) for key in ((0, 2, 3), (1, 0, 3), (1, 2, 0), (12, 3, 0))]
    assert all(other != first for other in others)
    assert all(0 <= number < 1 for number in first)


def test_tokens_are_drawn_as_often_as_they_are_probable(kernel_extra: None) -> None:
    import torch

    wanted = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits = wanted.log()[None].repeat(2000, 1)
    chance = draw_uniforms(0, 0, 0, 2000)

    def shares(temperature: float, top_p: float) -> list[float]:
        best = rank(logits)
        steps = assess(logits, best, pick(best, [temperature] * len(chance), top_p, chance))
        picked = [step.token for step in steps]
        assert [s.logprob for s in steps] == pytest.approx([float(logits[0, token]) for token in picked], abs=1e-5)
        assert steps[0].margin == pytest.approx(0.2, abs=1e-5)
        assert steps[0].entropy == pytest.approx(float(-(wanted * wanted.log()).sum()), abs=1e-5)
        two = assess(logits[:1], rank(logits[:1], 2), torch.tensor([0]))[0].entropy
        assert two == pytest.approx(-(0.5 * math.log(0.5) + 0.3 * math.log(0.3) + 0.2 * math.log(0.2)), abs=1e-5)
        return [picked.count(token) / len(picked) for token in range(4)]

    assert shares(1.0, 1.0) == pytest.approx(wanted.tolist(), abs=0.05)
    assert shares(1.0, 0.75) == pytest.approx([0.625, 0.375, 0, 0], abs=0.05)
    assert shares(0.0, 1.0) == shares(1.0, 0.0) == [1, 0, 0, 0]
    cold, hot = shares(0.5, 1.0), shares(4.0, 1.0)
    assert cold[0] > 0.6 > 0.5 > hot[0]


def test_a_token_tells_the_worker_and_what_it_waits_for() -> None:
    token, stopped = CancelToken(), threading.Event()
    token.check()
    with token.stopping(stopped.set):
        assert not stopped.is_set()
        threading.Thread(target=token.cancel).start()
        assert stopped.wait(5)
    assert token.cancelled
    with pytest.raises(Cancelled):
        token.check()
    late, after = threading.Event(), threading.Event()
    with token.stopping(late.set):
        assert late.is_set()
    other = CancelToken()
    with other.stopping(after.set):
        pass
    other.cancel()
    assert not after.is_set()


def test_pages_of_a_mapped_file_go_and_come_again(kernel_extra: None, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    def mapped_kb() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))

    numbers = torch.randint(-128, 128, (4096, 4096), dtype=torch.int8)
    save_file({"front": torch.ones(3), "numbers": numbers}, tmp_path / "some.safetensors")
    found = load_file(tmp_path / "some.safetensors")
    assert torch.equal(found["numbers"], numbers)
    before = mapped_kb()
    release_pages(found["numbers"])
    assert before - mapped_kb() > 15_000
    assert torch.equal(found["numbers"], numbers) and torch.equal(found["front"], torch.ones(3))
    release_pages(found["front"])  # less than a page
    assert torch.equal(found["front"], torch.ones(3))
