"""The pure parts of the local model: packing, choosing arithmetic, memory, cancelling."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.cancel import Cancelled, CancelToken
from kernel.local.memory import available_mb, parse_available_mb, shortage
from kernel.local.packing import MIN_SHARED, Row, batches, common, prefill_groups, share
from kernel.local.precision import Trial, pick
from kernel.local.sampling import Sampling, choose, uniforms

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
    trunk, rows = share(prompts, prefixes, [1] * len(prompts))
    for prompt, row in zip(prompts, rows, strict=True):
        assert row.numbers == tuple(prompt)
        assert trunk[: row.shared] == prompt[: row.shared]
        assert row.rest >= 1
        assert row.shared == 0 or row.shared >= MIN_SHARED
    assert not trunk or sum(row.shared for row in rows) > len(trunk)


def test_a_function_s_context_is_computed_once() -> None:
    context = list(range(100))
    trunk, rows = share([[*context, 200], [*context[:60], 201, 202]], [100, 60], [5, 5])
    assert trunk == context
    assert [row.shared for row in rows] == [100, 60]
    assert common([1, 2, 3], [1, 2]) == 2 and common([], [1]) == 0


@settings(deadline=None, max_examples=100)
@given(ROWS, st.integers(1, 4), st.integers(1, 300), st.integers(1, 10))
def test_batches_keep_their_bounds_and_lose_no_row(rows: list[Row], copies: int, places: int, most: int) -> None:
    found = list(batches(rows, copies=copies, cache_tokens=places, max_rows=most))
    assert sorted(row.span for batch in found for row in batch) == list(range(len(rows)))
    for batch in found:
        answers, longest = len(batch) * copies, max(row.length for row in batch)
        assert len(batch) == 1 or (answers <= most and answers * longest <= places)


@settings(deadline=None, max_examples=100)
@given(ROWS, st.integers(1, 200))
def test_groups_keep_their_bound_and_lose_no_row(rows: list[Row], tokens: int) -> None:
    found = list(prefill_groups(rows, tokens=tokens))
    assert sorted(row.span for group in found for row in group) == list(range(len(rows)))
    assert all(len(group) == 1 or len(group) * max(row.rest for row in group) <= tokens for group in found)


FP32, BF16, INT8 = Trial("fp32", 40, 4), Trial("bf16", 10, 2), Trial("int8", 11, 1)


@pytest.mark.parametrize(
    ("trials", "fits", "expected"),
    [
        ([FP32, BF16, INT8], True, "bf16"),  # int8 is faster, but not by enough
        ([FP32, BF16, Trial("int8", 5, 1)], True, "int8"),
        ([FP32, Trial("bf16", 90, 9), INT8], True, "int8"),
        ([FP32, Trial("bf16", 90, 9)], True, "fp32"),
        ([FP32, Trial("bf16", 90, 9)], False, "bf16"),
        ([FP32], False, "bf16"),  # nothing else was tried: the smaller form
    ],
)
def test_arithmetic_is_chosen_by_trial(trials: list[Trial], fits: bool, expected: str) -> None:
    chosen, why = pick(trials, fits_fp32=fits)
    assert chosen == expected
    assert why.startswith(f"{expected}: ") and "fp32 40.0/4.0 ms" in why


def test_memory_is_read_and_compared() -> None:
    assert parse_available_mb("MemTotal: 99 kB\nMemAvailable:    2048000 kB\n") == 2000
    assert parse_available_mb("MemTotal: 99 kB\n") is None
    assert (available_mb() or 1) > 0
    assert shortage(100, ceiling_mb=0, available=None) is None
    assert shortage(100, ceiling_mb=100, available=100) is None
    assert "ceiling is 99 MB" in (shortage(100, ceiling_mb=99, available=1000) or "")
    assert "99 MB are free" in (shortage(100, ceiling_mb=0, available=99) or "")


def test_random_numbers_depend_on_seed_span_and_sample_only() -> None:
    first = uniforms(1, 2, 3, 5)
    assert uniforms(1, 2, 3, 9)[:5] == first
    others = [uniforms(*key, 5) for key in ((0, 2, 3), (1, 0, 3), (1, 2, 0), (12, 3, 0))]
    assert all(other != first for other in others)
    assert all(0 <= number < 1 for number in first)


def test_tokens_are_drawn_as_often_as_they_are_probable(kernel_extra: None) -> None:
    import torch

    wanted = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits = wanted.log()[None].repeat(2000, 1)
    chance = uniforms(0, 0, 0, 2000)

    def shares(temperature: float, top_p: float) -> list[float]:
        picked, logprobs = choose(logits, Sampling(temperature, top_p, 0), chance)
        assert logprobs == pytest.approx([float(logits[0, token]) for token in picked], abs=1e-5)
        return [picked.count(token) / len(picked) for token in range(4)]

    assert shares(1.0, 1.0) == pytest.approx(wanted.tolist(), abs=0.05)
    assert shares(1.0, 0.75) == pytest.approx([0.625, 0.375, 0, 0], abs=0.05)
    assert shares(0.0, 1.0) == shares(1.0, 0.0) == [1, 0, 0, 0]
    cold, hot = shares(0.5, 1.0), shares(4.0, 1.0)
    assert cold[0] > 0.6 > 0.5 > hot[0]


def test_int8_products_are_close(kernel_extra: None) -> None:
    import numpy as np
    import torch

    from kernel.local.int8 import int8_linear
    from kernel.weights.tensors import to_bf16, to_int8

    random = np.random.default_rng(1)
    weight = random.standard_normal((48, 64)).astype("float32")
    weight[3] = 0  # a row without numbers has no scale
    x, bias = torch.from_numpy(random.standard_normal((2, 5, 64)).astype("float32")), torch.ones(48)
    x[0, 0] *= 1000  # a token with outliers costs only itself precision
    numbers, scale = to_int8(weight)
    found = int8_linear(x, torch.from_numpy(numbers), torch.from_numpy(scale), bias)
    exact = torch.nn.functional.linear(x, torch.from_numpy(weight), bias)
    assert found.shape == exact.shape
    assert (found - exact)[:, 1:].abs().max() < 0.3 and (found - exact)[1].abs().max() < 0.3
    values = np.array([1.0, 1.00390625, 1.01171875, -3.1e-39, 6.5e4, -0.0], dtype="float32")
    assert to_bf16(values).tolist() == torch.from_numpy(values).bfloat16().view(torch.uint16).tolist()


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
