"""What a feature brings: intervals that hold, and a verdict that needs them."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.evaluation.features import FEATURES, by_default, without
from daemon.evaluation.lift import WITH, label_without, lift_of, lift_table, median_of, share_more
from daemon.evaluation.paired import chain_of, trials
from daemon.evaluation.tasks import Task, TaskFile
from daemon.evaluation.trial import TrialOutcome, TrialResult
from daemon.settings.config import Settings
from daemon.settings.layers import leaves, read_environment


def row(number: int, label: str, outcome: TrialOutcome, seconds: float = 10.0) -> TrialResult:
    return TrialResult(task=f"t-{number}", kind="k", label=label, outcome=outcome, seconds=seconds)


def both(with_: list[bool], alone: list[bool], *, slower: float = 0.0) -> list[TrialResult]:
    """Results by task: repaired with the feature, repaired without it."""
    said = {True: TrialOutcome.RESOLVED, False: TrialOutcome.UNRESOLVED}
    rows = [row(n, WITH, said[good]) for n, good in enumerate(with_)]
    return rows + [row(n, label_without("moves"), said[good], 10.0 + slower + n) for n, good in enumerate(alone)]


def test_by_hand() -> None:
    """18 of 100 pairs only with, 8 only without: 10 / 102, and 1.96 times the root of (27 - 100 / 102), by 102."""
    found = share_more(18, 8, 100)
    assert found.middle == pytest.approx(0.10)
    assert (found.low, found.high) == (pytest.approx(0.0000, abs=0.0005), pytest.approx(0.1961, abs=0.0005))


def test_few_pairs_that_all_agree_prove_nothing() -> None:
    found = share_more(0, 0, 12)
    assert found.middle == 0 and found.low < -0.1 < 0.1 < found.high


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 40))
def test_the_interval_is_one_and_turns_with_the_sides(gained: int, lost: int, same: int) -> None:
    found, turned = share_more(gained, lost, gained + lost + same), share_more(lost, gained, gained + lost + same)
    assert -1 <= found.low <= found.high <= 1
    assert (turned.low, turned.high) == (pytest.approx(-found.high), pytest.approx(-found.low))


def test_the_interval_covers_what_is_true_often_enough() -> None:
    draw, held = random.Random(7), 0
    for _ in range(400):
        pairs = [(draw.random() < 0.8, draw.random() < 0.6) for _ in range(24)]
        found = share_more(sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs), 24)
        held += found.low <= 0.2 <= found.high
    assert held >= 372  # 93 % of 400


def test_a_median_needs_six() -> None:
    assert math.isinf(median_of([1.0] * 5).low) and median_of([1.0] * 6).low == 1.0
    assert median_of([]).middle == 0
    found = median_of([float(n) for n in range(1, 13)])
    assert (found.middle, found.low, found.high) == (6.5, 3.0, 10.0)  # the third and the tenth of twelve


@pytest.mark.parametrize(
    "results, verdict",
    [
        (both([True] * 12, [False] * 12), "pays"),
        (both([False] * 12, [True] * 12), "harms"),
        (both([True] * 12, [True] * 12, slower=5.0), "pays"),
        (both([True] * 12, [True] * 12, slower=-30.0), "harms"),
        (both([True] * 4, [True] * 4, slower=50.0), "not shown"),
        (both([True] * 9 + [False] * 3, [True] * 8 + [False] * 4, slower=-5.0), "not shown"),
    ],
)
def test_the_verdict(results: list[TrialResult], verdict: str) -> None:
    assert lift_of("moves", results).verdict == verdict


def test_what_was_not_tried_on_both_sides_or_is_no_task_is_left_out() -> None:
    rows = [row(1, WITH, TrialOutcome.RESOLVED), row(2, WITH, TrialOutcome.INVALID), row(3, WITH, TrialOutcome.WRONG)]
    rows += [row(n, label_without("moves"), TrialOutcome.RESOLVED) for n in (2, 3)]
    found = lift_of("moves", rows)
    assert (found.pairs, found.repaired, found.wrong) == (1, (0, 1), (1, 0))
    assert "| moves | 1 | 0, 1 | -100% (" in lift_table(["moves"], rows, {"moves": True})
    assert "(off by default)" in lift_table(["moves"], rows, {"moves": True})


def test_each_feature_is_switched_off_by_settings_that_there_are() -> None:
    defaults = dict(leaves(Settings().model_dump(), Settings))
    for name in FEATURES:
        table = read_environment(without(name), Settings)
        changed = dict(leaves(table, Settings))
        assert set(changed) == set(FEATURES[name]) and set(changed) <= set(defaults)
    assert set(by_default()) == set(FEATURES)


def test_every_side_of_a_task_before_the_next_and_chains_share_a_place(tmp_path: Path) -> None:
    tasks = [Task(name=n, folder=tmp_path, about=TaskFile(red=("t.py::t",))) for n in ("a-1", "a-2", "b-1")]
    found = list(trials(tasks, ("moves", "tree"), tmp_path, {"PATH": "p"}))
    assert [t.task.name for t in found] == ["a-1"] * 3 + ["a-2"] * 3 + ["b-1"] * 3
    assert [found[n].label for n in (0, 3, 6)] == [WITH, label_without("moves"), label_without("tree")]
    places = {(t.task.name, t.label): t.base for t in found}
    assert places["a-1", WITH] == places["a-2", WITH] != places["a-1", label_without("moves")]
    assert len({t.base for t in found}) == 6
    assert all(t.variables["PATH"] == "p" for t in found)
    assert [t.variables.get("OURO_REPAIR__MOVES") for t in found[:3]] == ["true", "false", "true"]
    assert ["OURO_REPAIR__BRANCHES" in t.variables for t in found[:3]] == [False, False, True]
    assert (chain_of("boltons-12"), chain_of("7")) == ("boltons", "7")
