"""edit_file acts on the workspace alone; run_tests passes on what the runner says."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from ledger.ids import sha256_hex
from ledger.vocabulary import Frame, Outcome, RunStatus, TestResult, TestRun
from tests.tools.builtin.conftest import FILES, Bench
from tools.builtin.run_tests import summary
from tools.testing.runner import TestRunner
from tools.workspace import Workspace


def edit(path: str, search: str, replace: str) -> str:
    return json.dumps({"path": path, "search": search, "replace": replace})


async def test_an_edit_needs_a_read_and_stays_in_the_workspace(bench: Bench) -> None:
    change = edit("src/calc.py", "        return a - b", "        return a + b")
    refused = await bench("edit_file", change)
    assert (refused.use.ok, "has not been read" in refused.text) == (False, True)
    await bench("read_file", '{"path": "src/calc.py"}')
    first_read = bench.context.reads["src/calc.py"]
    done = await bench("edit_file", change)
    assert done.use.ok, done.text
    after = bench.context.workspace.read("src/calc.py")
    assert after is not None
    assert b"return a + b" in after
    assert sha256_hex(after) in done.text
    assert "6|         return a + b" in done.text
    assert b"return a - b" in (bench.repo / "src/calc.py").read_bytes()
    await bench("read_file", '{"path": "src/calc.py"}')
    assert bench.context.reads["src/calc.py"] == first_read
    assert b"return a + b" in await bench.context.workspace.diff()


async def test_creating_a_file(bench: Bench) -> None:
    done = await bench("edit_file", edit("src/new/mod.py", "", "x = 1\n"))
    assert done.use.ok, done.text
    assert bench.context.workspace.read("src/new/mod.py") == b"x = 1\n"
    await bench("read_file", '{"path": "src/new/mod.py"}')
    assert "src/new/mod.py" not in bench.context.reads
    assert (await bench("edit_file", edit("src/new/mod.py", "x = 1", "x = 2"))).use.ok


async def test_the_mode_of_a_file_stays(bench: Bench) -> None:
    target = bench.context.workspace.root / "src/report.py"
    target.chmod(0o755)
    await bench("read_file", '{"path": "src/report.py"}')
    assert (await bench("edit_file", edit("src/report.py", "TOTAL = total([1])", "TOTAL = 1"))).use.ok
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("search", "replace", "words"),
    [
        ("    return nothing", "x", "The nearest are lines"),
        ("", "x", "the search text is empty"),
        ("LIMIT = 1", "LIMIT = 1", "change nothing"),
    ],
)
async def test_edits_that_do_not_fit(bench: Bench, search: str, replace: str, words: str) -> None:
    await bench("read_file", '{"path": "src/calc.py"}')
    outcome = await bench("edit_file", edit("src/calc.py", search, replace))
    assert (outcome.use.ok, words in outcome.text) == (False, True), outcome.text
    assert bench.context.workspace.read("src/calc.py") == FILES["src/calc.py"].encode() + b"\n\nLIMIT = 1\n"


RED = TestRun(
    status=RunStatus.RED,
    reason="1 of 2 tests is red.",
    collected=("t.py::a", "t.py::b"),
    results=(
        TestResult(id="t.py::a", outcome=Outcome.PASSED),
        TestResult(
            id="t.py::b", outcome=Outcome.FAILED, exception="AssertionError", message="assert 1 == 2",
            frames=(Frame(path="t.py", line=3, function="b"), Frame(path="src/calc.py", line=6, function="add")),
        ),
    ),
)  # fmt: skip


class Recorded(TestRunner):
    """Gives a recorded run and notes what was asked."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str] | None] = []

    async def run(self, ws: Workspace, ids: Sequence[str] | None = None, **_: object) -> TestRun:
        self.asked.append(ids)
        return RED


async def test_run_tests_passes_on_what_the_runner_says(bench: Bench) -> None:
    assert "no sandbox" in (await bench("run_tests")).text
    runner = Recorded()
    bench.context.runner = runner
    outcome = await bench("run_tests", '{"ids": ["./tests/test_calc.py::test_total"]}')
    assert runner.asked == [("tests/test_calc.py::test_total",)]
    assert outcome.use.paths == ("tests/test_calc.py",)
    assert outcome.text == (
        "red: 1 of 2 tests is red. (1 passed, 1 red, 2 collected)\n"
        "failed t.py::b: AssertionError assert 1 == 2\n  at src/calc.py:6 add <- t.py:3 b"
    )
    await bench("run_tests")
    assert runner.asked[-1] is None


def test_a_run_that_says_nothing_shows_its_output() -> None:
    run = TestRun(status=RunStatus.INCONCLUSIVE, reason="No test was collected.", output="ERROR: file not found")
    assert summary(run).endswith("ERROR: file not found")
