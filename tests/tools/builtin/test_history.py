"""git_diff and git_blame on the op's base and its workspace."""

from __future__ import annotations

import json

import pytest

from tests.repos import commit, git
from tests.tools.builtin.conftest import Bench
from tools.builtin.git_blame import parse_blame
from tools.builtin.git_diff import fit_diff
from tools.workspace import Workspaces


async def moved_on(bench: Bench) -> None:
    """A workspace of the repository's newest commit."""
    git_tool, old = bench.context.git, bench.context.workspace
    workspaces = Workspaces(git_tool, git_tool.places, old._settings)
    await workspaces.release(old)
    bench.context.workspace = await workspaces.acquire("op-1", git(bench.repo, "rev-parse", "HEAD"))


async def test_diff_of_what_the_op_has_changed(bench: Bench) -> None:
    root = bench.context.workspace.root
    assert (await bench("git_diff")).text.endswith("no difference.")
    (root / "src/calc.py").write_text("A = 1\n")
    (root / "src/new.py").write_text("N = 1\n")
    (root / "tests/test_calc.py").unlink()
    (root / "certs/server.pem").write_text("changed\n")
    (root / "blob.bin").write_bytes(b"\0\1\2" * 1000)
    text = (await bench("git_diff")).text
    head = git(bench.repo, "rev-parse", "HEAD")[:12]
    assert text.splitlines()[:5] == [
        f"your changes on {head}: 4 files", "  blob.bin +0 -0 (new file)", "  src/calc.py +1 -17",
        "  src/new.py +1 -0 (new file)", "  tests/test_calc.py +0 -5 (deleted file)",
    ]  # fmt: skip
    assert "+A = 1" in text and "+N = 1" in text and "Binary files differ" in text
    assert "pem" not in text
    one = (await bench("git_diff", '{"path": "src/new.py"}')).text
    assert "+N = 1" in one and "calc" not in one
    assert (await bench("git_diff", '{"path": "docs"}')).text.endswith("no difference.")


async def test_diff_of_commits(bench: Bench) -> None:
    last = (await bench("git_diff", '{"commit": "base"}')).text
    assert "  src/calc.py +3 -0" in last and "+LIMIT = 1" in last and "link.py" not in last
    first = (await bench("git_diff", '{"commit": "HEAD~1", "path": "tests"}')).text
    assert "(the first commit)" in first and "+def test_total():" in first
    base = git(bench.repo, "rev-parse", "HEAD~1")
    between = (await bench("git_diff", json.dumps({"since": base[:10], "path": "src"}))).text
    assert between.startswith(f"from {base[:12]} to ") and "+LIMIT = 1" in between
    same = await bench("git_diff", '{"since": "base"}')
    assert same.text.endswith("no difference.")


async def test_diff_of_a_merge_is_against_its_first_parent(bench: Bench) -> None:
    git(bench.repo, "checkout", "-q", "-b", "side", "HEAD~1")
    commit(bench.repo, "side", {"side.txt": "side\n"})
    git(bench.repo, "checkout", "-q", "main")
    git(bench.repo, "merge", "-q", "--no-ff", "-m", "merge", "side")
    await moved_on(bench)
    text = (await bench("git_diff", '{"commit": "base"}')).text
    assert "+side" in text and "LIMIT" not in text


@pytest.mark.parametrize(
    "revision", ["--output=x", "HEAD:src/calc.py", "HEAD@{1}", "main", "base^{tree}", "-p", "HEAD~x", ""]
)
async def test_only_plain_revisions_are_taken(bench: Bench, revision: str) -> None:
    outcome = await bench("git_diff", json.dumps({"commit": revision, "path": "docs"}))
    assert outcome.use.ok == (revision == "")
    assert outcome.verdict.rule == ("tools.arguments" if revision else "policy.allow")


async def test_commits_outside_the_bases_history_are_not_shown(bench: Bench) -> None:
    later = commit(bench.repo, "later", {"later.txt": "amended away\n"})
    for revision in (later, "0" * 40, "base~99"):
        outcome = await bench("git_diff", json.dumps({"commit": revision}))
        assert not outcome.use.ok and "no commit in the history" in outcome.text
        assert "amended" not in outcome.text


def test_a_long_diff_keeps_whole_hunks_and_says_what_is_missing() -> None:
    hunk = "@@ -1,1 +1,40 @@\n" + "".join(f"+line {n}\n" for n in range(40))
    files = "".join(
        f"diff --git a/f{n}.py b/f{n}.py\nindex 1..2 100644\n--- a/f{n}.py\n+++ b/f{n}.py\n{hunk}" for n in range(9)
    )
    text = fit_diff("all", files, 2_000)
    assert len(text.encode()) <= 2_000
    assert text.splitlines()[0] == "all: 9 files" and "  f8.py +40 -0" in text
    assert "hunks are left out" in text
    assert text.count("@@ -1,1") == text.count("+line 39")
    assert "[...]" in fit_diff("one", "diff --git a/x b/x\n@@ -1 +1 @@\n+" + "y" * 5_000 + "\n", 4_000)


async def test_blame_names_the_commit_of_each_line(bench: Bench) -> None:
    old, new = git(bench.repo, "rev-list", "HEAD").split()[::-1]
    text = (await bench("git_blame", '{"path": "src/calc.py", "start_line": 14, "end_line": 17}')).text
    rows = text.splitlines()
    assert rows[0].startswith(f"src/calc.py in {new[:12]} · blob ")
    assert rows[1].startswith(f"{old[:12]} 20") and rows[1].endswith("Owner: first")
    assert rows[2] == "14|     return out"
    assert rows[3].startswith(f"{new[:12]} 20") and rows[3].endswith("Owner: add links")
    assert rows[4:] == ["15| ", "16| ", "17| LIMIT = 1"]


async def test_blame_tells_what_it_cannot_say(bench: Bench) -> None:
    past = await bench("git_blame", '{"path": "src/calc.py", "start_line": 99}')
    assert not past.use.ok and "has only 17 lines" in past.text
    for path in ("src", "src/nope.py"):
        assert not (await bench("git_blame", json.dumps({"path": path}))).use.ok
    assert (await bench("git_blame", '{"path": "certs/server.pem"}')).verdict.rule == "gate02.built_in"
    assert (await bench("git_blame", '{"path": "link.py"}')).verdict.rule == "gate01.link"
    long = (await bench("git_blame", '{"path": "docs/long.txt"}')).text
    assert len(long.encode()) <= 4096 and "the rest (to line 200): git_blame with start_line=" in long
    new = {"path": "src/new.py", "content": "x = 1"}
    await bench("write_file", json.dumps(new))
    assert not (await bench("git_blame", '{"path": "src/new.py"}')).use.ok


def test_blame_of_a_hostile_commit() -> None:
    porcelain = (
        b"a" * 40
        + b" 1 1 1\nauthor \x1b[31m"
        + b"e" * 500
        + b"\nauthor-time 99999999999999999\nsummary s\n\t\xff\xfe line\r\n"
    )
    (line,) = parse_blame(porcelain)
    assert (line.line, len(line.author), line.day, line.text) == (1, 80, "99999999999999999", "\ufffd\ufffd line")
