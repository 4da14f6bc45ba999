"""edit_file, write_file and delete_file act on the workspace alone; run_tests passes on what the runner says."""

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


async def patched(bench: Bench, path: str, patch: str) -> str:
    outcome = await bench("edit_file", json.dumps({"path": path, "patch": patch}))
    return ("ok " if outcome.use.ok else "no ") + outcome.text


HUNK = (
    "@@ -400,3 +4,3 @@ class Calc\n     def add(self, a: int, b: int) -> int:\n"
    "-        return a - b\n+        return a + b\n"
)


@pytest.mark.parametrize(
    "head", ["", "--- a/src/calc.py\n+++ b/src/calc.py\n", "diff --git a/src/calc.py b/src/calc.py\n"]
)
async def test_a_patch_is_placed_by_its_text_not_by_its_numbers(bench: Bench, head: str) -> None:
    await bench("read_file", '{"path": "src/calc.py"}')
    said = await patched(bench, "src/calc.py", head + HUNK)
    assert said.startswith("ok modify src/calc.py"), said
    assert "6|         return a + b" in said
    assert bench.context.workspace.read("src/calc.py") == bench_file("return a + b")


def bench_file(line: str) -> bytes:
    return (FILES["src/calc.py"].replace("return a - b", line) + "\n\nLIMIT = 1\n").encode()


OTHER = "--- a/src/report.py\n+++ b/src/report.py\n@@ -8 +8 @@\n-TOTAL = total([1])\n+TOTAL = 2\n"


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (OTHER, "names 'src/report.py'"),
        (HUNK + "\n" + OTHER, "names 'src/report.py'"),
        ("--- a/.env\n+++ b/src/calc.py\n" + HUNK, "must be a unified diff of 'src/calc.py' alone"),
        ("diff --git a/src/calc.py b/src/gone.py\nrename from src/calc.py\nrename to src/gone.py\n", "names"),
        ("src/calc.py\n<<<<<<< SEARCH\nLIMIT = 1\n=======\nLIMIT = 2\n>>>>>>> REPLACE\n", "names 'src/calc.py'"),
        ("change line 6, please", "is no diff"),
        (HUNK.replace("return a - b", "return b - a"), "Line 6 of the file is '        return a - b'"),
    ],
)
async def test_patches_that_are_not_taken(bench: Bench, patch: str, words: str) -> None:
    for path in ("src/calc.py", "src/report.py"):
        await bench("read_file", json.dumps({"path": path}))
    said = await patched(bench, "src/calc.py", patch)
    assert said.startswith("no ") and words in said, said
    assert await bench.context.workspace.diff() == b""


@pytest.mark.parametrize(
    "arguments",
    [{}, {"search": "x"}, {"replace": "x", "patch": HUNK}, {"search": "x", "patch": HUNK}, {"replace": None}],
)
async def test_an_edit_has_one_form(bench: Bench, arguments: dict[str, str]) -> None:
    outcome = await bench("edit_file", json.dumps({"path": "src/calc.py", **arguments}))
    assert outcome.verdict.rule == "tools.arguments" and "either" in outcome.text


async def test_a_patch_creates_and_deletes(bench: Bench) -> None:
    made = await patched(bench, "src/n.py", "--- /dev/null\n+++ b/src/n.py\n@@ -0,0 +1 @@\n+N = 1\n")
    assert made.startswith("ok create src/n.py") and bench.context.workspace.read("src/n.py") == b"N = 1\n"
    gone = await patched(bench, "src/n.py", "--- a/src/n.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-N = 1\n")
    assert gone.startswith("ok delete src/n.py") and bench.context.workspace.read("src/n.py") is None


async def test_writing_a_whole_file(bench: Bench) -> None:
    change = json.dumps({"path": "src/report.py", "content": "ONE = 1\r\nTWO = 2"})
    refused = await bench("write_file", change)
    assert (refused.use.ok, "has not been read" in refused.text) == (False, True)
    (bench.context.workspace.root / "src/report.py").write_bytes(b"# caf\xc3\xa9\r\nx = 1\r\n")
    await bench("read_file", '{"path": "src/report.py"}')
    done = await bench("write_file", change)
    assert done.use.ok, done.text
    after = bench.context.workspace.read("src/report.py")
    assert after == b"ONE = 1\r\nTWO = 2\r\n"  # the file's own line endings
    assert f"modify src/report.py · {len(after)} bytes · sha256 {sha256_hex(after)}" in done.text
    assert not (await bench("write_file", change)).use.ok  # nothing would change
    new = await bench("write_file", json.dumps({"path": "docs/new.md", "content": ""}))
    assert new.use.ok and bench.context.workspace.read("docs/new.md") == b""
    assert bench.context.written == {"src/report.py", "docs/new.md"}


async def test_a_file_that_changed_under_a_write_is_not_overwritten(bench: Bench) -> None:
    await bench("read_file", '{"path": "src/report.py"}')

    class Meddling(Workspace):
        """Somebody else writes between the look and the write."""

        def read(self, path: str) -> bytes | None:
            data = super().read(path)
            (self.root / path).write_bytes(b"other\n")
            return data

    bench.context.workspace.__class__ = Meddling
    outcome = await bench("write_file", '{"path": "src/report.py", "content": "mine"}')
    bench.context.workspace.__class__ = Workspace
    assert not outcome.use.ok
    assert bench.context.workspace.read("src/report.py") == b"other\n"


async def test_deleting_a_file(bench: Bench) -> None:
    assert "has not been read" in (await bench("delete_file", '{"path": "src/report.py"}')).text
    await bench("read_file", '{"path": "src/report.py"}')
    done = await bench("delete_file", '{"path": "src/report.py"}')
    assert done.use.ok and sha256_hex(FILES["src/report.py"]) in done.text
    assert bench.context.workspace.read("src/report.py") is None
    assert (bench.repo / "src/report.py").exists()
    assert b"deleted file" in await bench.context.workspace.diff()
    again = await bench("delete_file", '{"path": "src/report.py"}')
    assert (again.use.ok, "There is no file" in again.text) == (False, True)


async def test_a_binary_file_is_deleted_like_any_other(bench: Bench) -> None:
    (bench.context.workspace.root / "logo.png").write_bytes(b"\x89PNG\0\1")
    assert "has not been read" in (await bench("delete_file", '{"path": "logo.png"}')).text
    read = await bench("read_file", '{"path": "logo.png"}')
    assert read.use.ok and "6 bytes" in read.text and "PNG" not in read.text.replace("logo.png", "")
    assert "binary" in (await bench("edit_file", '{"path": "logo.png", "search": "PNG", "replace": "x"}')).text
    assert (await bench("delete_file", '{"path": "logo.png"}')).use.ok
    assert bench.context.workspace.read("logo.png") is None


@pytest.mark.parametrize("tool", ["write_file", "delete_file"])
@pytest.mark.parametrize("path", ["../x", ".git/config", ".env", "link.py", "away/x", "certs/server.pem", ""])
async def test_where_nothing_may_be_written(bench: Bench, tool: str, path: str) -> None:
    more = {"content": "x"} if tool == "write_file" else {}
    outcome = await bench(tool, json.dumps({"path": path, **more}))
    assert (outcome.use.ok, outcome.use.score, bench.context.written) == (False, 0, set())
    assert outcome.verdict.rule.startswith(("gate01", "gate02", "tools.arguments"))


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
    bench.context.runner_problem = "pytest is not installed in .venv."
    assert "run here: pytest is not installed in .venv." in (await bench("run_tests")).text
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
