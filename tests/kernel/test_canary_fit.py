"""The calibration: from made-up runs to levels that tell them apart, to a file that can be read, to a picture."""

from __future__ import annotations

import random
import tomllib
from xml.etree import ElementTree

import pytest

from kernel.canary import Canary, Levels, TokenStep

pytest.importorskip("numpy", reason="calibration computes with numpy, which comes with the kernel extra")

from bench.canary import curve
from bench.canary.calibrate import table
from bench.canary.fit import Run, fit, run_of


def written(seed: int, count: int = 80) -> list[TokenStep]:
    """Sound text over few words, so that it repeats by chance as code does."""
    source = random.Random(seed)
    return [TokenStep(source.randrange(60), source.random(), source.random(), -source.random()) for _ in range(count)]


def looped(seed: int) -> list[TokenStep]:
    line = list(range(100, 100 + 2 + seed % 9))
    return written(seed, 40) + [TokenStep(token, 0.98, 0.05, -0.02) for token in line * 40][:60]


def hot(seed: int) -> list[TokenStep]:
    source = random.Random(seed)
    return written(seed, 40) + [TokenStep(source.randrange(9000), 0.1, 6.0, -7.0) for _ in range(60)]


def runs(seeds: range) -> list[Run]:
    return [
        run
        for seed in seeds
        for run in (
            run_of([], written(seed), "clean", None),
            run_of([], looped(seed), "loop", 40 + 2 + seed % 9),
            run_of([], hot(seed), "garbage", 40),
        )
    ]


@pytest.fixture(scope="module")
def levels() -> Levels:
    return fit(runs(range(30)))


def alarms(levels: Levels, steps: list[TokenStep]) -> list[int]:
    canary = Canary(levels)
    return [at for at, step in enumerate(steps) if canary.push(step).alarm]


def test_what_was_fitted_holds_for_what_was_not_seen(levels: Levels) -> None:
    for seed in range(100, 115):
        assert not alarms(levels, written(seed))
        for steps in (looped(seed), hot(seed)):
            assert 40 <= alarms(levels, steps)[0] < 40 + 11 + 40


def test_no_weight_takes_trouble_away(levels: Levels) -> None:
    assert all(base.weight >= 0 for base in levels.features.values())


def test_a_corpus_without_garbage_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="entropy, surprise"):
        fit([run for run in runs(range(4)) if run.label != "garbage"])


def test_the_file_says_what_was_fitted(levels: Levels) -> None:
    found = tomllib.loads(table("a model-1.5b", levels, "from 3 generations"))
    assert Levels.model_validate(found["a model-1.5b"]) == levels


def test_the_picture_is_well_formed() -> None:
    points = [(0.0, 0.5), (0.01, 0.97), (0.3, 1.0)]
    svg = curve.draw(points, (0.005, 0.97), [("loop", 3), ("echo", 41), ("garbage", 12), ("garbage", 400)], 40)
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg") and "97.0% at 0.5%" in svg and "&gt;40" in svg
