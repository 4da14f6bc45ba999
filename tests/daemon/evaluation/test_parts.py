"""Tasks are read strictly, hidden tests are really gone, results survive a kill, and the table counts right."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.evaluation.judge import HiddenVerdict, Verdict, verdict
from daemon.evaluation.mine import by_file, half_of, without
from daemon.evaluation.report import append, at, median, read_results, table
from daemon.evaluation.tasks import Task, TaskFile, read_tasks
from daemon.evaluation.trial import TrialOutcome as End
from daemon.evaluation.trial import TrialResult, outcome_of, usage
from governance.verification.evidence import function_of
from ledger.errors import ConfigError
from ledger.vocabulary import Outcome, RunStatus, TestResult, TestRun
from tools.process import Finished


def result(task: str = "t", outcome: End = End.RESOLVED, seconds: float = 1.0, kind: str = "k") -> TrialResult:
    return TrialResult(task=task, kind=kind, label="l", outcome=outcome, seconds=seconds, tested=3, tokens_in=10)


def make(folder: Path, name: str, about: str, repo: bool = True) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "task.json").write_text(about)
    if repo:
        (folder / name / "repo").mkdir()


def test_tasks_by_name_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a folder"):
        read_tasks(tmp_path / "none")
    with pytest.raises(ConfigError, match="no tasks"):
        read_tasks(tmp_path)
    make(tmp_path, "b", '{"red": ["t.py::b"]}')
    make(tmp_path, "a", '{"red": ["t.py::a"], "kind": "x"}')
    assert [(t.name, t.about.kind) for t in read_tasks(tmp_path)] == [("a", "x"), ("b", "")]
    assert [t.name for t in read_tasks(tmp_path, ("b",))] == ["b"]
    with pytest.raises(ConfigError, match="no task 'c'"):
        read_tasks(tmp_path, ("c",))
    make(tmp_path, "c", '{"red": []}')
    with pytest.raises(ConfigError, match=r"task\.json: red"):
        read_tasks(tmp_path)
    make(tmp_path, "d", '{"red": ["t"]}', repo=False)
    with pytest.raises(ConfigError, match="no folder repo/"):
        read_tasks(tmp_path, ("d",))


SOURCE = '''import pytest

X = 1


@pytest.mark.skip
def test_a():
    """é"""


def test_b(): pass


class TestC:
    def test_d(self):
        pass

    @staticmethod
    def test_e():
        pass
'''


def test_hidden_tests_are_gone_and_the_rest_is_not() -> None:
    text = without(SOURCE, {"test_a", "TestC::test_e"})
    assert "test_a" not in text and "mark.skip" not in text and "test_e" not in text and "staticmethod" not in text
    assert "def test_b(): pass" in text and "def test_d" in text and "X = 1" in text
    empty = without(SOURCE, {"TestC::test_d", "TestC::test_e"})
    (kept,) = [n for n in ast.parse(empty).body if isinstance(n, ast.ClassDef)]
    assert [type(n) for n in kept.body] == [ast.Pass]
    assert by_file(["a.py::T::x", "a.py::y"]) == {"a.py": {"T::x", "y"}}


@given(st.sets(st.sampled_from([f"t.py::test_{n}[{p}]" for n in range(6) for p in range(2)]), min_size=1))
def test_half_is_hidden_and_one_is_always_shown(red: set[str]) -> None:
    hidden, functions = half_of(red, "seed"), {function_of(test) for test in red}
    assert hidden < functions and len(hidden) == len(functions) // 2
    assert half_of(red, "seed") == hidden


def test_results_are_kept_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    assert read_results(file) == []
    append(file, result("a"))
    with file.open("a") as out:
        out.write('{"task": "torn')
    assert [r.task for r in read_results(file)] == ["a"]
    append(file, result("b"))
    assert [r.task for r in read_results(file)] == ["a", "b"]
    file.write_text('{"x": 1}\n' + file.read_text())
    with pytest.raises(ConfigError, match="line 1: not a result"):
        read_results(file)


def test_the_table_counts_what_is_valid() -> None:
    rows = [
        result("a", seconds=1).model_copy(update={"evidence": "verified; 1 of 2"}), result("b", seconds=9),
        result("c", End.WRONG).model_copy(update={"evidence": "verified; 1 of 2", "doubt": "f(0)"}),
        result("d", End.TIMEOUT), result("e", End.INVALID),
    ]  # fmt: skip
    whole = table(rows).splitlines()[-1]
    assert whole == "| l | k | 4 | 2 (50 %) | 5.0 s | 9.0 s | 3 | 40 / 0 | 1 (33 %) | 1 / 1 | 0 / 1 |"
    assert median([]) == at([], 0.9) == "-"
    assert median([1.0, 2.0, 4.0, 8.0]) == "3.0 s" and at([float(n) for n in range(20)], 0.9) == "18.0 s"


def run_of(status: RunStatus, **tests: Outcome) -> TestRun:
    return TestRun(
        status=status, reason="why", results=tuple(TestResult(id=f"t.py::{n}", outcome=o) for n, o in tests.items())
    )


def test_the_judge_wants_all_that_was_red_to_pass_and_nothing_else_red() -> None:
    about = TaskFile(red=("t.py::a",), known_red=("t.py::k",))
    task = Task(name="x", folder=Path("x"), about=about)
    ok, bad = Outcome.PASSED, Outcome.FAILED
    assert verdict(task, run_of(RunStatus.RED, a=ok, k=bad)).verdict is Verdict.RIGHT
    assert verdict(task, run_of(RunStatus.RED, a=ok, b=bad)).why == "still red: t.py::b"
    assert verdict(task, run_of(RunStatus.GREEN, b=ok)).why == "still red: t.py::a"  # the test is not there any more
    assert verdict(task, run_of(RunStatus.TIMEOUT)).verdict is Verdict.UNCLEAR


def test_a_commit_in_time_counts_and_an_end_says_why() -> None:
    entry = {"payload": {"event": "terminal", "to": "POSTMORTEM", "reason": "nothing found"}}
    calls = {"payload": {"event": "call.ended", "ms": 1500, "tokens_in": 7, "tokens_out": 2, "usd_micro": 1}}
    output = "".join(json.dumps({"entry": e}) + "\n" for e in (entry, calls)).encode() + b'{"entry": {"pay'
    late = Finished(code=None, signal=15, output=output, cut_bytes=0, timed_out=True, flooded=False, duration_ms=1)
    done = Finished(code=1, signal=None, output=output, cut_bytes=0, timed_out=False, flooded=False, duration_ms=1)
    idle = Finished(code=5, signal=None, output=b"", cut_bytes=0, timed_out=False, flooded=False, duration_ms=1)
    assert outcome_of(late, HiddenVerdict(Verdict.RIGHT)) == (End.RESOLVED, "")
    assert outcome_of(done, HiddenVerdict(Verdict.WRONG, "x")) == (End.WRONG, "x")
    assert outcome_of(late, HiddenVerdict(Verdict.NOTHING)) == (End.TIMEOUT, "")
    assert outcome_of(done, HiddenVerdict(Verdict.NOTHING)) == (End.UNRESOLVED, "nothing found")
    assert outcome_of(idle, HiddenVerdict(Verdict.NOTHING)) == (End.INVALID, "nothing was red")
    assert usage(output)["model_s"] == 1.5 and usage(output)["tokens_in"] == 7
    assert usage(output)["tier"] == usage(output)["doubt"] == ""


def test_what_an_owner_is_told_of_a_commit_stands_beside_it() -> None:
    """The last word of the gate counts: a candidate may have been turned back before."""
    told = "f(0) gives 1, with another repair 2"
    first = {"event": "tier.assigned", "tier": "APPROVAL_REQUIRED", "left_open": ""}
    last = {"event": "tier.assigned", "tier": "NOTIFY_APPLY", "left_open": told}
    output = "".join(json.dumps({"entry": {"payload": p}}) + "\n" for p in (first, last)).encode()
    assert usage(output)["tier"] == "NOTIFY_APPLY" and usage(output)["doubt"] == told
