"""Benchmarks that become worse, on a real repository with a real ledger: what is said of them, and what is a cure."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from ledger.vocabulary import MetricLimit, MetricWithin, OwnerConfirms
from sensors.performance import PerformanceRegressionSettings
from sensors.performance.measuring import Benchmark, benchmark_files, digest_of
from sensors.performance.samples import Earlier, baseline
from sensors.performance.sensor import PerformanceRegression
from tests.repos import commit, git, write
from tests.sensors.looking import Scene, scene
from tests.sensors.trees import Held

RESULT = "out/speed.json"
FILES = {".gitignore": "out/\n", "fast.py": "x = 0\n", "bench/speed.py": "print()\n", "notes.txt": "a\n"}
SETTINGS = PerformanceRegressionSettings(result=RESULT, command=("python", "bench/speed.py"), least_samples=4)


def made(w: Scene, **changed: object) -> PerformanceRegression:
    settings = SETTINGS.model_copy(update=changed)
    return PerformanceRegression(ports=w.ports(), settings=settings)


def measured(w: Scene, value: float, name: str = "parse", **more: object) -> None:
    write(w.repo, {RESULT: json.dumps({name: {"value": value, "unit": "s", **more}})})


async def grown(w: Scene, sensor: PerformanceRegression, count: int = 4, **more: object) -> str:
    """A baseline of so many commits; the last one."""
    last = ""
    for n in range(count):
        last = commit(w.repo, f"step {n}", {"notes.txt": f"{n}\n"})
        measured(w, 1.0 + n / 500, **more)  # type: ignore[arg-type]
        assert await sensor.scan_once() == ()
    return last


async def test_a_third_more_names_metric_baseline_commits_and_files(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as w:
        sensor = made(w)
        good = await grown(w, sensor)
        assert "none is worse than usual" in sensor.state().line
        commit(w.repo, "one", {"notes.txt": "hunter2\n", "gone.py": "x\n"})
        bad = commit(w.repo, "two", {"fast.py": "x = 1\n", "bench/speed.py": "print(1)\n"})
        measured(w, 1.3)
        (signal,) = await sensor.scan_once()
        assert "parse is 30 % above its baseline: 1.3 s now, 1.003 s before (median of 4)" in signal.goal
        assert f"{good[:12]}..{bad[:12]}" in signal.goal and signal.base == bad
        assert "fast.py" in signal.evidence[1].evidence and "gone.py" in signal.evidence[1].evidence
        assert set(signal.targets) == {"fast.py", "gone.py", "notes.txt"}  # what measures is no suspect
        assert isinstance(signal.closure, MetricWithin)
        (limit,) = signal.closure.limits
        assert (limit.name, limit.unit, signal.closure.ruler) == ("parse", "s", ("bench/speed.py",))
        assert 1.1 < float(limit.limit) < 1.2
        assert await sensor.scan_once() == ()  # said once
        assert "parse is 30 %" in sensor.state().line
        commit(w.repo, "three", {"notes.txt": "more\n"})
        measured(w, 1.31)
        assert await made(w).scan_once() == ()  # nor by another boot, while it stays as it is


async def test_it_can_be_mended_and_break_again(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as w:
        sensor = made(w)
        await grown(w, sensor)
        for n, (value, count) in enumerate([(1.4, 1), (1.0, 0), (1.4, 1)]):
            commit(w.repo, "next", {"fast.py": f"x = {n}\n"})
            measured(w, value)
            assert len(await sensor.scan_once()) == count, (n, value)


def test_what_was_worse_is_no_baseline_until_nothing_else_is_measured() -> None:
    fine, worse = Earlier(commit="a", value=1), Earlier(commit="b", value=2, worse=True)
    assert baseline([fine, fine, worse, fine, worse, worse], 3) == (fine, fine, fine)
    assert baseline([fine, fine, worse, worse, worse], 3) == (worse, worse, worse)
    assert baseline([worse], 3) == () == baseline([], 3)


async def test_the_direction_is_the_owners_and_better_is_never_said(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as w:
        sensor = made(w, higher_is_better=("thr*",))
        await grown(w, sensor, name="through")
        for value, count in [(1.5, 0), (0.6, 1)]:
            commit(w.repo, "next")
            measured(w, value, "through")
            signals = await sensor.scan_once()
            assert len(signals) == count
        (signal,) = signals
        assert "below its baseline" in signal.goal and isinstance(signal.closure, MetricWithin)
        assert signal.closure.limits[0].higher_is_better


async def test_what_cannot_be_ascribed_to_a_commit_is_not_counted(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as w:
        sensor = made(w)
        await grown(w, sensor)
        write(w.repo, {"fast.py": "x = 3\n"})
        measured(w, 9.0)
        assert await sensor.scan_once() == () and "uncommitted edits" in sensor.state().line
        commit(w.repo, "later")
        os.utime(w.repo / RESULT, (1, 1))
        assert await sensor.scan_once() == () and "is older than" in sensor.state().line
        measured(w, 9.0, commit="f" * 40)
        assert await sensor.scan_once() == () and "nothing that is committed here" in sensor.state().line
        measured(w, 9.0, commit=git(w.repo, "rev-parse", "HEAD"), dirty=True)
        assert await sensor.scan_once() == ()
        write(w.repo, {"fast.py": "x = 4\n"})  # what was measured is known, so edits since then do not matter
        measured(w, 9.0, commit=git(w.repo, "rev-parse", "HEAD"))
        assert len(await sensor.scan_once()) == 1


async def test_a_whole_history_is_read_at_once_and_metrics_of_one_range_are_one_signal(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as w:
        rows = []
        for n in range(10):
            at = commit(w.repo, f"step {n}", {"fast.py": f"x = {n}\n"})
            late = n == 9
            rows += [{"name": name, "value": (2 if late and name != "c" else 1) * 1.5, "commit": at} for name in "abc"]
        write(w.repo, {RESULT: "\n".join(map(json.dumps, rows))})
        sensor = made(w)
        (signal,) = await sensor.scan_once()
        assert isinstance(signal.closure, MetricWithin)
        assert [limit.name for limit in signal.closure.limits] == ["a", "b"]
        assert signal.evidence[0].evidence.count("\n") == 1
        assert await sensor.scan_once() == ()


@pytest.mark.parametrize("changed", [{"command": ()}, {"command": ("make", "speed")}])
async def test_where_nobody_knows_what_measures_the_owner_is_asked(tmp_path: Path, changed: dict[str, object]) -> None:
    async with scene(tmp_path, FILES) as w:
        sensor = made(w, **changed)
        await grown(w, sensor)
        commit(w.repo, "slow", {"fast.py": "x = 9\n"})
        measured(w, 1.5)
        (signal,) = await sensor.scan_once()
        assert signal.closure == OwnerConfirms(question="Is the benchmark back within noise: parse?")


async def test_a_file_that_is_half_written_huge_or_a_link_is_not_read(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as w:
        sensor = made(w, largest_bytes=100)
        assert await sensor.scan_once() == () and "not there yet" in sensor.state().line
        write(w.repo, {RESULT: '{"parse": 1'})
        assert await sensor.scan_once() == () and "not JSON" in sensor.state().problem
        write(w.repo, {RESULT: '{"parse": 1}' + " " * 200})
        assert await sensor.scan_once() == () and "larger than 100" in sensor.state().problem
        (w.repo / RESULT).unlink()
        (tmp_path / "elsewhere.json").write_text('{"parse": 1}')
        (w.repo / RESULT).symlink_to(tmp_path / "elsewhere.json")
        assert await sensor.scan_once() == () and "cannot be opened" in sensor.state().problem
        (w.repo / RESULT).unlink()
        os.mkfifo(w.repo / RESULT)
        assert await sensor.scan_once() == () and "not a regular file" in sensor.state().problem
        (w.repo / RESULT).unlink()
        (w.repo / "out").rmdir()
        (w.repo / "out").symlink_to(tmp_path)
        (tmp_path / "speed.json").write_text('{"parse": 1}')
        assert await sensor.scan_once() == () and "not there yet" in sensor.state().line


async def test_without_a_file_it_says_what_is_missing(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as w:
        sensor = made(w, result="", command=())
        assert await sensor.scan_once() == ()
        assert (
            sensor.state().line.startswith("unavailable: ") and "performance_regression.result" in sensor.state().remedy
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"result": "/tmp/a.json", "command": ("python", "b.py")},
        {"result": "../a.json"},
        {"result": "a.json", "ruler": ("/etc",)},
        {"result": "a\0.json"},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PerformanceRegressionSettings.model_validate(wrong)


# --- what measures ---


def test_what_a_command_names_is_what_measures() -> None:
    files = ["bench/speed.py", "bench/data/x.bin", "src/tool/__main__.py", "tests/b.py", "tests/conftest.py", "a.py"]
    assert benchmark_files(files, ("python", "./bench/speed.py"), ()) == ("bench/speed.py",)
    assert benchmark_files(files, ("python", "-m", "tool", "--in=bench/data"), ()) == (
        "bench/data/x.bin",
        "src/tool/__main__.py",
    )
    assert benchmark_files(files, ("make", "bench"), ()) == ("bench/data/x.bin", "bench/speed.py")
    assert benchmark_files(files, ("make", "fast", "."), ()) == ()
    found = benchmark_files(files, ("pytest", "tests/b.py::test_x"), ("bench/",))
    assert {"tests/b.py", "tests/conftest.py", "conftest.py", "pyproject.toml", "bench/speed.py"} <= set(found)
    assert "a.py" not in found


class Measuring(Held):
    """A tree whose benchmark writes one result after the other."""

    def __init__(self, results: Sequence[bytes | None], **files: str) -> None:
        super().__init__(files)
        self.results = list(results)
        self.asked: list[tuple[Sequence[str], str]] = []

    async def produce(
        self, argv: Sequence[str], *, path: str, limit_s: float, largest: int
    ) -> tuple[bytes | None, str]:
        self.asked.append((argv, path))
        data = self.results.pop(0)
        return data, "" if data is not None else "python ended with code 1: hunter2"


def of(*values: float) -> list[bytes | None]:
    return [json.dumps({"a": value, "b": 1}).encode() for value in values]


@pytest.mark.parametrize(
    ("results", "closed", "words"),
    [
        (of(1, 1, 9), True, "a is 1 s"),  # one slow run of three
        (of(9, 9, 1), False, "a is 9 s, wanted is at most 2 s"),
        (of(2, 2, 2), True, ""),
        ([*of(1, 1), None], False, "nothing was measured: python ended with code 1: ***"),
        ([b'{"b": 1}'], False, "a was not measured"),
        ([b"{"], False, "cannot be read"),
    ],
)
async def test_the_median_of_the_owners_own_benchmark_decides(
    results: list[bytes | None], closed: bool, words: str
) -> None:
    check = MetricWithin(
        limits=(
            MetricLimit(name="a", limit="2.0", unit="s"),
            MetricLimit(name="b", limit="1e0", higher_is_better=True),
        ),
        ruler=("bench/speed.py",),
        ruler_digest=digest_of({"bench/speed.py": b"x"}),
    )
    settings = SETTINGS.model_copy(update={"command": ("python", "bench/speed.py", "--to={result}")})
    benchmark = Benchmark(settings, redact=lambda text: text.replace("hunter2", "***"))
    tree = Measuring(results, **{"bench/speed.py": "x"})
    answer = await benchmark.answer(check, tree)
    assert (answer.closed, words in answer.reason) == (closed, True), answer
    assert tree.asked[0] == (("python", "bench/speed.py", "--to=.ouro-measured.json"), ".ouro-measured.json")
    for other in ({"bench/speed.py": "y"}, {}):  # what measures is not what it was: nothing is even run
        answer = await benchmark.answer(check, tree := Measuring([], **other))
        assert not answer.closed and "what measures was changed" in answer.reason and tree.asked == []
    answer = await Benchmark(PerformanceRegressionSettings()).answer(check, tree)
    assert not answer.closed and "no benchmark is named" in answer.reason
