"""What the tests say, with a runner that plays a script: flaky and failing are told apart, breakage never forgiven."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from governance.repair.ranking import LONG_CHANGE, changed_characters
from governance.verification.test_runs import run_twice
from ledger.vocabulary import Outcome, RunStatus, TestResult, TestRun
from tests.e2e.world import repo_with
from tests.tools.testing.projects import make_project
from tools.testing.runner import LookedFor, SeveralRuns


class Played(SeveralRuns):
    """Gives one run after the other and remembers what was asked."""

    def __init__(self, *runs: TestRun) -> None:
        self._runs = list(runs)
        self.asked: list[Sequence[str] | None] = []
        self.resets = 0

    async def reset(self) -> None:
        self.resets += 1

    async def run(
        self,
        ids: Sequence[str] | None = None,
        *,
        coverage: bool = False,
        limit_s: float | None = None,
        expected: Sequence[str] | None = None,
        looked_for: LookedFor | None = None,
    ) -> TestRun:
        self.asked.append(ids)
        return self._runs.pop(0)


def red(*ids: str) -> TestRun:
    results = tuple(TestResult(id=i, outcome=Outcome.FAILED) for i in ids)
    return TestRun(status=RunStatus.RED if ids else RunStatus.GREEN, results=results)


async def stood() -> None:
    """The tree is as it is."""


async def newly(runner: Played) -> tuple[tuple[str, ...], tuple[str, ...]]:
    report, _ = await run_twice(runner, None, apply_change=stood, limit_s=1, may_be_red=("t.py::old",), scope="suite")
    return report.newly_red, report.flaky


async def test_what_passes_the_second_time_is_flaky() -> None:
    runner = Played(red("t.py::a", "t.py::b", "t.py::old"), red("t.py::b"), red("t.py::b", "t.py::old"))
    assert await newly(runner) == (("t.py::b",), ("t.py::a",))
    assert runner.asked == [None, ("t.py::a", "t.py::b"), None] and runner.resets == 3


async def test_what_fails_only_behind_the_others_is_no_flaky_test() -> None:
    runner = Played(red("t.py::a"), red(), red("t.py::a"))
    assert await newly(runner) == (("t.py::a",), ())


async def test_what_fails_alone_needs_no_third_run() -> None:
    runner = Played(red("t.py::a"), red("t.py::a"))
    assert await newly(runner) == (("t.py::a",), ()) and len(runner.asked) == 2


SOMETIMES = """
import pathlib

def test_sometimes():
    assert pathlib.Path("weather").read_text() == "fine"

def test_leaves_something():
    pathlib.Path("left").mkdir()

def test_never():
    assert 0
"""
CACHED = "KNOWN = {}\n\n\ndef price(name, value):\n    return KNOWN.setdefault('last', value)\n"
PRICES = """
from shop import price

def test_first():
    assert price("a", 1) == 1

def test_second():
    assert price("b", 2) == 2
"""


async def test_a_real_run_tells_them_apart_too_and_each_finds_a_clean_tree(tmp_path: Path) -> None:
    repo_with(tmp_path / "repo", {"t.py": "", "test_s.py": SOMETIMES})
    project = await make_project(tmp_path, {}, None, "bwrap")
    weather = iter(("rain", "fine", "fine"))

    async def stand() -> None:
        (project.ws.root / "weather").write_text(next(weather))

    async with project.runner().several(project.ws) as tests:
        report, run = await run_twice(tests, None, apply_change=stand, limit_s=60, may_be_red=(), scope="suite")
    assert run.status is RunStatus.RED
    assert (report.newly_red, report.flaky) == (("test_s.py::test_never",), ("test_s.py::test_sometimes",))


async def test_a_change_that_is_wrong_behind_another_test_is_newly_red(tmp_path: Path) -> None:
    repo_with(tmp_path / "repo", {"shop.py": CACHED, "test_p.py": PRICES})
    project = await make_project(tmp_path, {}, None, "bwrap")
    async with project.runner().several(project.ws) as tests:
        report, _ = await run_twice(tests, None, apply_change=stood, limit_s=60, may_be_red=(), scope="suite")
    assert (report.newly_red, report.flaky) == (("test_p.py::test_second",), ())


async def test_a_file_that_cannot_be_collected_is_not_taken_for_flaky() -> None:
    """It has no test id: beside a flaky test it was never run again, and so it went through."""
    runner = Played(red("t.py", "u.py::flaky"), red("t.py"))
    assert await newly(runner) == (("t.py",), ("u.py::flaky",))
    assert runner.asked == [None, None]


async def test_a_second_run_without_a_verdict_clears_nobody() -> None:
    runner = Played(red("t.py::a"), TestRun(status=RunStatus.TIMEOUT, reason="late"))
    assert await newly(runner) == (("t.py::a",), ())


async def test_a_fault_of_the_machine_is_tried_once_more() -> None:
    runner = Played(TestRun(status=RunStatus.INFRA, reason="no pytest"), red())
    assert await newly(runner) == ((), ())


def test_the_size_of_a_change_in_a_large_file_is_found_quickly() -> None:
    text = "".join(f"def f{i}(a, b):\n    return a + b * {i}\n\n" for i in range(2_000))
    began = time.process_time()
    assert changed_characters(text, text.replace("b * 1000\n", "b - 1000\n")) == 2
    assert changed_characters("", "x" * (LONG_CHANGE + 1)) == LONG_CHANGE + 1
    assert changed_characters("return a + b", "return a - b") == 2
    assert time.process_time() - began < 1
