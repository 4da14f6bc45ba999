"""Noise alone is hardly ever called worse, a third more always is, better never is."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.performance import PerformanceRegressionSettings
from sensors.performance.measurements import Better
from sensors.performance.noise import NoiseBounds, is_worse, percent, summarise

BOUNDS = PerformanceRegressionSettings().bounds
Draw = Callable[[random.Random], float]

NOISES: dict[str, Draw] = {
    "none": lambda r: 1.0,
    "normal 1 %": lambda r: r.gauss(1, 0.01),
    "normal 5 %": lambda r: r.gauss(1, 0.05),
    "normal 10 %": lambda r: r.gauss(1, 0.10),
    "laplace 5 %": lambda r: 1 + r.choice((-1, 1)) * r.expovariate(1 / 0.035),
    "skewed": lambda r: 1 + r.expovariate(1 / 0.05),
    "lognormal": lambda r: r.lognormvariate(0, 0.08),
    "uniform 10 %": lambda r: r.uniform(0.9, 1.1),
    "two modes": lambda r: r.gauss(1.0 if r.random() < 0.6 else 1.12, 0.01),
    "one in thirty is wild": lambda r: 3.0 if r.random() < 1 / 30 else r.gauss(1, 0.03),
}


@pytest.mark.parametrize("count", [8, 20])
@pytest.mark.parametrize("noise", [name for name in NOISES if "wild" not in name])
def test_noise_alone_is_rarely_worse(noise: str, count: int) -> None:
    fired = tried = 0
    for seed in range(400):
        r = random.Random(f"{noise} {seed}")
        for better in Better:
            found = summarise([NOISES[noise](r) for _ in range(count)], better, BOUNDS)
            assert found is not None
            fired += is_worse(NOISES[noise](r), found.limit, better)
            tried += 1
    assert fired / tried <= 0.01, f"{fired} of {tried}"


@pytest.mark.parametrize("noise", ["none", "normal 1 %", "one in thirty is wild"])
def test_a_third_more_is_worse(noise: str) -> None:
    missed = 0
    for seed in range(200):
        r = random.Random(f"{noise} {seed}")
        found = summarise([NOISES[noise](r) for _ in range(20)], Better.LOWER, BOUNDS)
        assert found is not None
        missed += not is_worse(1.3, found.limit, Better.LOWER)
    assert missed <= 200 * (0.02 if "wild" not in noise else 0.05), missed


values = st.lists(st.floats(0.01, 1e6), min_size=BOUNDS.least, max_size=40)


@given(earlier=values, better=st.sampled_from(Better))
def test_what_was_usual_or_better_is_never_worse(earlier: list[float], better: Better) -> None:
    found = summarise(earlier, better, BOUNDS)
    assert found is not None
    assert not is_worse(found.median, found.limit, better)
    best = min(earlier) if better is Better.LOWER else max(earlier)
    assert not is_worse(best, found.limit, better)
    share = found.median * BOUNDS.share * 0.99
    assert not is_worse(found.median + (share if better is Better.LOWER else -share), found.limit, better)


@given(base=st.floats(1e-6, 1e6), spread=st.floats(0, 0.01), seed=st.integers(0, 10_000), higher=st.booleans())
@settings(max_examples=200)
def test_thirty_percent_over_quiet_noise_is_worse_whatever_the_scale(
    base: float, spread: float, seed: int, higher: bool
) -> None:
    r = random.Random(seed)
    earlier = [base * r.uniform(1 - spread, 1 + spread) for _ in range(BOUNDS.least)]
    better = Better.HIGHER if higher else Better.LOWER
    found = summarise(earlier, better, BOUNDS)
    assert found is not None
    assert is_worse(median(earlier) * (0.7 if higher else 1.3), found.limit, better)
    assert percent(found.median * 1.3, found.median) == 30


@given(earlier=values, factor=st.sampled_from([2.0, 0.5, 1024.0]))
def test_the_unit_does_not_matter(earlier: list[float], factor: float) -> None:
    one, other = (
        summarise(earlier, Better.LOWER, BOUNDS),
        summarise([v * factor for v in earlier], Better.LOWER, BOUNDS),
    )
    assert one is not None and other is not None
    assert other.limit == pytest.approx(one.limit * factor)


def test_nothing_is_said_of_too_few_or_of_nothing() -> None:
    assert summarise([1.0] * (BOUNDS.least - 1), Better.LOWER, BOUNDS) is None
    assert summarise([0.0] * 20, Better.LOWER, BOUNDS) is None
    assert summarise([], Better.LOWER, NoiseBounds(least=0, deviations=1, share=1)) is None


def test_below_zero_worse_is_still_the_same_way() -> None:
    found = summarise([-10.0] * 10, Better.LOWER, BOUNDS)
    assert (
        found is not None and is_worse(-8.0, found.limit, Better.LOWER) and not is_worse(-13, found.limit, Better.LOWER)
    )
