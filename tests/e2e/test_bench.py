"""``ouro bench``: tasks through the real program, judged by tests that it did not see."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import PLUS, SHOP, own_environment, repo_with
from tests.repos import commit, git, make_repo

HIDDEN = SHOP["tests/test_cart.py"] + ("\n\ndef test_no_discount_at_all():\n    assert total([5], discount=5) == 0\n")
SCRIPT = 'infill = true\n[[infills]]\nprefix_ends = "return "\ntexts = ["{}"]\n'


def command(base: Path, *words: str, text: str = "subtotal - discount") -> tuple[list[str], dict[str, str]]:
    """The program as a user has it, and its environment; its model plays a script."""
    script = base / "script.toml"
    script.write_text(SCRIPT.format(text))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(base / "home"),
        "OURO_KERNEL__PROVIDER": "scripted",
        "OURO_KERNEL__SCRIPTED__SCRIPT": str(script),
        "OURO_APPROVAL__NOTIFY_DELAY_S": "0",
        "OURO_REPAIR__MOVES": "false",  # what its script writes is all that is tried
    }
    (base / "home").mkdir(exist_ok=True)
    program = [sys.executable, "-c", "from daemon.cli import main; main()"]
    return [*program, *words], {**env, "PYTHONPATH": str(Path(__file__).parents[2])}


def ouro(base: Path, *words: str, text: str = "subtotal - discount") -> subprocess.CompletedProcess[str]:
    argv, env = command(base, *words, text=text)
    return subprocess.run(argv, cwd=base, env=env, capture_output=True, text=True, check=False, timeout=240)


def make_tasks(base: Path, names: tuple[str, ...] = ("first", "second")) -> Path:
    tests = base / "venv"
    tests.mkdir()
    own_environment(tests)
    for name in names:
        place = base / "tasks" / name
        for path, text in {**SHOP, "shop/cart.py": PLUS}.items():
            (place / "repo" / path).parent.mkdir(parents=True, exist_ok=True)
            (place / "repo" / path).write_text(text)
        (place / "oracle/tests").mkdir(parents=True)
        (place / "oracle/tests/test_cart.py").write_text(HIDDEN)
        red = ["tests/test_cart.py::test_total_with_discount", "tests/test_cart.py::test_no_discount_at_all"]
        about: dict[str, Any] = {"red": red, "kind": "sign", "python": "../../venv/.venv"}
        (place / "task.json").write_text(json.dumps(about))
    return base / "tasks"


def test_a_repair_a_wrong_one_and_none(tmp_path: Path) -> None:
    tasks = make_tasks(tmp_path)
    done = ouro(tmp_path, "bench", "repair", "tasks", "--only", "first", "--label", "good")
    assert done.returncode == 0, done.stderr
    assert "first: resolved in" in done.stdout and "| good | all | 1 | 1 (100 %)" in done.stdout
    again = ouro(
        tmp_path,
        "bench",
        "repair",
        "tasks",
        "--label",
        "good",
        "--json",
        text="subtotal - discount if subtotal > discount else subtotal",
    )
    rows = [json.loads(line) for line in again.stdout.splitlines()]
    assert [(r["task"], r["outcome"]) for r in rows] == [("second", "wrong")], again.stderr  # the first is done
    assert rows[0]["why"] == "still red: tests/test_cart.py::test_no_discount_at_all"
    (row,) = [r for r in map(json.loads, (tmp_path / "bench-repair.jsonl").read_text().splitlines()) if r not in rows]
    assert row["infills"] >= 1 and row["tested"] >= 1 and "-    return subtotal + discount" in row["diff"]
    none = ouro(tmp_path, "bench", "repair", "tasks", "--only", "first", "--label", "n", "--json", text="nothing_known")
    (row,) = [json.loads(line) for line in none.stdout.splitlines()]
    assert row["outcome"] == "unresolved" and "none turned" in row["why"]
    results = (tmp_path / "bench-repair.jsonl").read_text().splitlines()
    assert len(results) == 3
    assert (tasks / "first/repo/shop/cart.py").read_text() == PLUS and not (tasks / "first/repo/.git").exists()


@pytest.mark.long
def test_a_cap_ends_a_task(tmp_path: Path) -> None:
    make_tasks(tmp_path)
    done = ouro(tmp_path, "bench", "repair", "tasks", "--only", "first", "--cap", "1", "--json")
    assert json.loads(done.stdout)["outcome"] == "timeout", done.stderr


@pytest.mark.parametrize("to_the_end", [False, pytest.param(True, marks=pytest.mark.long)])
def test_what_a_feature_brings(tmp_path: Path, to_the_end: bool) -> None:
    tasks = make_tasks(tmp_path, ("shop-1", "shop-2"))
    words = ("eval", "lift", "tasks", "--feature", "memory")
    first = ouro(tmp_path, *words, "--most", "1")
    assert first.returncode == 0 and "| memory | 1 | 1, 1 | +0% (" in first.stdout, first.stderr
    if to_the_end:
        done = ouro(tmp_path, *words)
        lines = [line for line in done.stdout.splitlines() if line.startswith("shop-")]
        assert len(lines) == 2, "the first is not done again"
        assert all("resolved in" in line for line in lines), done.stdout
        assert "| memory | 2 | 2, 2 |" in done.stdout and "| not shown |" in done.stdout
        for side in ("with", "without-memory"):  # one repository and one record for both tasks of a side
            place = tmp_path / "eval-lift.work" / side / "shop"
            assert git(place / "repo", "rev-list", "--count", "HEAD") == "4"
            assert len(list((place / "state/ouroboros").iterdir())) == 1
    wrong = ouro(tmp_path, "eval", "lift", "tasks", "--feature", "magic")
    assert wrong.returncode == 2 and "There is: memory, lessons" in wrong.stderr
    assert (tasks / "shop-1/repo/shop/cart.py").read_text() == PLUS


def at_work(folder: Path) -> list[str]:
    """Processes whose working directory lies below a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if (place / "cwd").readlink().is_relative_to(folder):
                found.append(place.name)
    return found


SLOW_GIT = """#!/bin/sh
{git} "$@" || exit
case " $* " in *" init "*) echo made >{told}; sleep 0.5; [ -d .git ] || echo "the folder went first" >>{told} ;; esac
"""


def test_a_signal_while_git_writes_waits_for_it(tmp_path: Path) -> None:
    make_tasks(tmp_path)
    scratch, slow, told = tmp_path / "scratch", tmp_path / "bin/git", tmp_path / "told"
    scratch.mkdir()
    slow.parent.mkdir()
    slow.write_text(SLOW_GIT.format(git=shutil.which("git"), told=told))
    slow.chmod(0o755)
    argv, env = command(tmp_path, "bench", "repair", "tasks")
    env |= {"TMPDIR": str(scratch), "PATH": f"{slow.parent}:{env['PATH']}"}
    with subprocess.Popen(argv, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as bench:
        while not told.exists() and bench.poll() is None:
            time.sleep(0.02)
        bench.terminate()
        _, said = bench.communicate(timeout=60)
    assert (bench.returncode, said.strip(), told.read_text()) == (130, "", "made\n")
    assert not at_work(scratch) and not list(scratch.iterdir())


def test_a_signal_ends_all_that_was_started(tmp_path: Path) -> None:
    make_tasks(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    argv, env = command(tmp_path, "bench", "repair", "tasks")
    with subprocess.Popen(argv, cwd=tmp_path, env={**env, "TMPDIR": str(scratch)}) as bench:
        while not at_work(scratch) and bench.poll() is None:
            time.sleep(0.05)
        bench.terminate()
        assert bench.wait(60) == 130
    assert not at_work(scratch) and not list(scratch.iterdir())


def test_bad_folders_are_told(tmp_path: Path) -> None:
    done = ouro(tmp_path, "bench", "repair", "nowhere")
    assert done.returncode == 2 and "not a folder" in done.stderr and "Traceback" not in done.stderr


def test_history_becomes_tasks(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, "shop/cart.py": PLUS, "tests/test_cart.py": "def test_x(): pass\n"})
    commit(repo, "Only code", {"shop/other.py": "X = 1\n"})
    fixed = commit(
        repo, "Discounts are taken off", {"shop/cart.py": SHOP["shop/cart.py"], "tests/test_cart.py": HIDDEN}
    )
    commit(repo, "Nothing was red", {"shop/other.py": "X = 2\n", "tests/test_o.py": "def test_o(): pass\n"})
    before = git(repo, "status", "--porcelain", "--ignored")
    done = ouro(tmp_path, "--repo", str(repo), "bench", "mine", "tasks")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith("Nothing was red: no test of it was red before and green after")
    assert done.stdout.splitlines()[1] == f"{fixed[:12]} Discounts are taken off: a task"
    assert len(done.stdout.splitlines()) == 2
    place = tmp_path / "tasks" / fixed[:12]
    about = json.loads((place / "task.json").read_text())
    assert sorted(about["red"]) == [
        "tests/test_cart.py::test_no_discount_at_all", "tests/test_cart.py::test_total_with_discount",
    ]  # fmt: skip
    shown, whole = (place / "repo/tests/test_cart.py").read_text(), (place / "oracle/tests/test_cart.py").read_text()
    assert whole == HIDDEN and shown != whole and (place / "repo/shop/cart.py").read_text() == PLUS
    assert git(repo, "status", "--porcelain", "--ignored") == before
    solved = ouro(tmp_path, "bench", "repair", "tasks", "--json")
    assert json.loads(solved.stdout)["outcome"] == "resolved", solved.stdout + solved.stderr


def test_a_repository_without_repairs_gives_no_task(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "r", {"a.py": "X = 1\n"})
    own_environment(repo)
    done = ouro(tmp_path, "--repo", str(repo), "bench", "mine", "tasks")
    assert (done.returncode, done.stdout) == (5, ""), done.stderr
