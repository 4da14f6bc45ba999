"""read_file, list_dir, glob_files, search_code, git_log on a real workspace."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from governance.irongate.tool.policy import ToolPolicy
from ledger.ids import sha256_hex
from ledger.vocabulary import Verdict
from tests.repos import git, host_env
from tests.tools.builtin.conftest import FILES, Bench
from tools.builtin.read_file import LARGEST
from tools.builtin.standard import standard_tools
from tools.manifest import Toolbox
from tools.policy import PolicyQuestion


async def test_read_file_numbers_hashes_and_notes(bench: Bench) -> None:
    outcome = await bench("read_file", '{"path": "./tests/test_calc.py"}')
    data = FILES["tests/test_calc.py"]
    assert outcome.use.ok
    assert outcome.text == (
        f"tests/test_calc.py · {len(data)} bytes · sha256 {sha256_hex(data)}\nlines 1-5 of 5\n"
        "1| from src.calc import total\n2| \n3| \n4| def test_total():\n5|     assert total([1, 2]) == 3"
    )
    assert bench.context.reads == {"tests/test_calc.py": sha256_hex(data)}
    assert outcome.use.paths == ("tests/test_calc.py",)


async def test_a_long_file_comes_in_whole_parts(bench: Bench) -> None:
    seen: list[str] = []
    start = 1
    while start <= 2000:
        outcome = await bench("read_file", json.dumps({"path": "docs/long.txt", "start_line": start}))
        assert len(outcome.text.encode()) <= 4096
        assert "left out" not in outcome.text
        lines = outcome.text.splitlines()[2:]
        seen += [line.split("| ", 1)[1] for line in lines]
        start += len(lines)
        assert start > 2000 or f"start_line={start}" in outcome.text
        bench.clock.advance(10)
    assert "\n".join(seen) + "\n" == FILES["docs/long.txt"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "nope.py"}, "There is no file 'nope.py'"),
        ({"path": "src"}, "There is no file 'src'"),
        ({"path": "tests/test_calc.py", "start_line": 99}, "has 5 lines"),
    ],
)
async def test_read_file_says_what_is_wrong(bench: Bench, arguments: dict[str, object], words: str) -> None:
    outcome = await bench("read_file", json.dumps(arguments))
    assert not outcome.use.ok
    assert words in outcome.text
    assert outcome.use.score == 1


async def test_listing_leaves_links_and_protected_files_out(bench: Bench) -> None:
    top = (await bench("list_dir")).text.splitlines()
    assert top == [".github/ (1 files)", "docs/ (1 files)", "src/ (3 files)", "tests/ (1 files)", "odd [name].py"]
    assert (await bench("list_dir", '{"path": "src"}')).text.splitlines() == ["broken.py", "calc.py", "report.py"]
    assert not (await bench("list_dir", '{"path": "nope"}')).use.ok
    assert (await bench("glob_files", '{"pattern": "**/test_*.py"}')).text == "1 files\ntests/test_calc.py"
    assert not (await bench("glob_files", '{"pattern": "*.pem"}')).use.ok


EXPECTED = [
    ".github/ci.yml:1: run: total", "src/broken.py:1: def total(:", "src/calc.py:9: def total(values):",
    "src/report.py:1: from src.calc import total", "src/report.py:5:     print(total(values))",
]  # fmt: skip


@pytest.fixture(params=["ripgrep", "plain"])
def searching(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> Bench:
    """The same searches with ripgrep and with the plain search."""
    if request.param == "plain":
        host = host_env()
        tools = standard_tools(type(host)(variables=host.variables, path=str(tmp_path)))
        bench.box = Toolbox(tools=tools, policy=bench.box._policy, clock=bench.clock)
    elif not any(os.access(os.path.join(folder, "rg"), os.X_OK) for folder in host_env().path.split(":")):
        pytest.skip("ripgrep is not installed")
    return bench


async def test_search_finds_lines_but_nothing_protected_or_linked(searching: Bench) -> None:
    text = (await searching("search_code", '{"pattern": "total", "max_results": 200}')).text
    rows = text.splitlines()
    assert rows[0] == "200 lines (there are more: narrow the pattern or the path)"
    assert rows[1] == ".github/ci.yml:1: run: total"
    text = (await searching("search_code", '{"pattern": "total", "path": "src"}')).text
    assert text.splitlines()[1:4] == EXPECTED[1:4]
    assert "pem" not in text
    assert "link.py" not in text
    none = await searching("search_code", '{"pattern": "secret"}')
    assert (none.text, none.use.ok, none.use.found) == ("Nothing found for 'secret'.", True, False)


async def test_search_options(searching: Bench) -> None:
    assert "Nothing found" in (await searching("search_code", '{"pattern": "TOTAL", "path": "tests"}')).text
    both = await searching("search_code", '{"pattern": "TOTAL", "path": "tests", "ignore_case": true}')
    assert both.text.startswith("3 lines\n")
    odd = await searching("search_code", '{"pattern": "total", "path": "odd [name].py"}')
    assert odd.text == "1 lines\nodd [name].py:1: total = 1"
    either = await searching("search_code", '{"pattern": "LIMIT|TOTAL", "regex": true}')
    assert either.text.splitlines()[1:] == ["src/calc.py:17: LIMIT = 1", "src/report.py:8: TOTAL = total([1])"]
    dashed = await searching("search_code", '{"pattern": "-> int"}')
    assert dashed.text.startswith("1 lines\nsrc/calc.py:5:")
    few = await searching("search_code", '{"pattern": "line", "max_results": 2}')
    assert len(few.text.splitlines()) == 3


async def test_regular_expressions_need_ripgrep(bench: Bench, tmp_path: Path) -> None:
    found = await bench("search_code", '{"pattern": "def \\\\w+_total", "regex": true}')
    if found.use.ok:
        assert found.text == "1 lines\ntests/test_calc.py:4: def test_total():"
    bad = await bench("search_code", '{"pattern": "(", "regex": true}')
    assert not bad.use.ok
    host = host_env()
    tools = standard_tools(type(host)(variables=host.variables, path=str(tmp_path)))
    bench.box = Toolbox(tools=tools, policy=bench.box._policy)
    plain = await bench("search_code", '{"pattern": "(a+)+$", "regex": true}')
    assert not plain.use.ok
    assert "need ripgrep" in plain.text


async def test_a_name_with_a_line_in_it_shows_nothing_under_another_name(searching: Bench) -> None:
    """``.env`` is protected: what stands in such a file must not be shown as another file's."""
    root = searching.context.workspace.root
    for name in (".env\nsrc.py", ".env\n."):
        (root / name).mkdir() if name.endswith(".") else (root / name).write_text("token = 'hush'\n")
    (root / ".env\n./calc.py").write_text("token = 'hush'\n")
    assert (await searching("search_code", '{"pattern": "hush"}')).text == "Nothing found for 'hush'."


async def test_no_file_is_read_into_memory_that_is_too_large(searching: Bench) -> None:
    with (searching.context.workspace.root / "large.txt").open("wb") as file:
        file.truncate(LARGEST + 1)
    read = await searching("read_file", '{"path": "large.txt"}')
    assert not read.use.ok and f"{LARGEST} are read" in read.text
    assert (await searching("search_code", '{"pattern": "nowhere"}')).use.ok


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("search_code", {"pattern": "total"}),
        ("get_callers", {"symbol": "total"}),
        ("git_diff", {"commit": "base"}),
        ("git_log", {}),
        ("list_dir", {}),
        ("glob_files", {"pattern": "*"}),
        ("module_graph", {"path": "src/report.py"}),
    ],
)
async def test_the_policy_looks_at_files_in_a_thread(bench: Bench, tool: str, arguments: dict[str, str]) -> None:
    judged: list[tuple[tuple[str, ...], bool]] = []

    class Watched(ToolPolicy):
        def judge(self, question: PolicyQuestion) -> Verdict:
            judged.append((question.paths, threading.current_thread() is threading.main_thread()))
            return super().judge(question)

    bench.box._policy = Watched(tools=[spec.name for spec in bench.box.schemas()])
    assert (await bench(tool, json.dumps(arguments))).use.ok
    assert any(paths for paths, _ in judged) and not any(blocks for _, blocks in judged)


@pytest.mark.parametrize("when", ["9" * 12, "9" * 17, "9" * 24])
async def test_git_log_bears_a_date_that_is_none(bench: Bench, when: str, tmp_path: Path) -> None:
    tree = git(bench.repo, "rev-parse", "HEAD^{tree}")
    odd = tmp_path / "odd"
    odd.write_text(f"tree {tree}\nauthor A <a@b> {when} +0000\ncommitter A <a@b> {when} +0000\n\nodd\n")
    made = git(bench.repo, "hash-object", "-t", "commit", "-w", "--literally", str(odd))
    bench.context.workspace.commit = made
    outcome = await bench("git_log")
    assert outcome.use.ok, outcome.text
    assert outcome.text.startswith(f"{made[:12]} (no valid date) A: odd")


async def test_git_log_reads_the_ops_base(bench: Bench) -> None:
    head = git(bench.repo, "rev-parse", "HEAD")
    (bench.repo / "later.txt").write_text("later\n")
    git(bench.repo, "add", "later.txt")
    git(bench.repo, "commit", "-q", "-m", "later")
    rows = (await bench("git_log")).text.splitlines()
    assert rows[0].startswith(head[:12])
    assert rows[0].endswith("Owner: add links")
    assert rows[1] == "    src/calc.py"  # links are left out
    assert len(rows) == 4
    one = await bench("git_log", '{"path": "docs", "limit": 5}')
    assert len(one.text.splitlines()) == 2
    none = await bench("git_log", '{"path": "nope"}')
    assert (none.text, none.use.found, one.use.found) == ("No commit touched nope.", False, True)
    assert one.use.category is not None
