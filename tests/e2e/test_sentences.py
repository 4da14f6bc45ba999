"""What goes wrong around the work: one clear sentence, what to do about it, the right exit code, and nothing lost.

Everything goes through the command line in a process of its own, with its standard input closed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.codes import Exit
from tests.e2e.talking import swap
from tests.e2e.world import PLUS, SHOP, own_environment, repo_with
from tests.repos import commit, git, host_env, make_repo, write

PROJECT = Path(__file__).parents[2]
CART = "shop/cart.py"
SCRIPT = '{"infill": true, "infills": [{"prefix_ends": "return ", "texts": ["subtotal - discount"]}]}'
TELLING = "      "  # a remedy stands on a line of its own, below the sentence


@dataclass(frozen=True)
class Said:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        return self.err.splitlines()[0] if self.err else ""

    @property
    def remedy(self) -> str:
        return "\n".join(line for line in self.err.splitlines()[1:] if line.startswith(TELLING)).strip()


class Owner:
    """Somebody who types ``ouro`` in a repository."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.home, run = base / "home", base / "run"
        self.home.mkdir()
        run.mkdir(mode=0o700)
        (base / "script.json").write_text(SCRIPT)
        self.environment = {
            **host_env(HOME=str(self.home), XDG_RUNTIME_DIR=str(run)).variables,
            "OURO_KERNEL__PROVIDER": "scripted",
            "OURO_KERNEL__SCRIPTED__SCRIPT": str(base / "script.json"),
            "OURO_APPROVAL__NOTIFY_DELAY_S": "0",
        }

    def ouro(self, repo: Path, *words: str, without: str = "", **settings: str) -> Said:
        """Type a command; ``settings`` are further variables."""
        environment = {k: v for k, v in {**self.environment, **settings}.items() if k != without}
        done = subprocess.run(
            [sys.executable, "-c", "from daemon.cli import main; main()", "--repo", str(repo), *words],
            cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


def broken_shop(tmp_path: Path, more: Mapping[str, str] | None = None) -> Path:
    repo = repo_with(tmp_path / "shop", {**SHOP, **(more or {})})
    commit(repo, "Speed up totals", {CART: PLUS})
    return repo


def assert_told(said: Said, code: Exit, sentence: str, remedy: str) -> None:
    """One sentence and a remedy on standard error; the code."""
    assert said.code == code, (said.code, said.out, said.err)
    assert said.sentence.startswith("ouro: "), said.err
    assert sentence in said.sentence
    assert remedy in said.remedy + said.sentence, said.err
    assert said.sentence.count("ouro:") == 1
    assert len(said.err.strip().splitlines()) <= 2, said.err


def assert_works_after_all(owner: Owner, repo: Path) -> None:
    """Nothing was lost: with the obstacle gone the same command repairs, and the record is whole."""
    said = owner.ouro(repo, "fix")
    assert said.code == Exit.DONE, (said.out, said.err)
    assert (repo / CART).read_text() == SHOP[CART]
    assert owner.ouro(repo, "ledger", "verify").code == Exit.DONE


@pytest.mark.parametrize("command", [("fix",), pytest.param(("run", "--once"), marks=pytest.mark.long)])
def test_without_a_sandbox_nothing_is_run(owner: Owner, tmp_path: Path, command: tuple[str, ...]) -> None:
    repo = broken_shop(tmp_path)
    said = owner.ouro(repo, *command, OURO_SANDBOX__BACKEND="none")
    assert_told(said, Exit.REFUSED, "No sandbox holds here", "apt install bubblewrap")
    assert (repo / CART).read_text() == PLUS


def test_without_pytest_it_says_how_to_get_it(owner: Owner, tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    shutil.rmtree(repo / ".venv")
    own_environment(repo)
    site = next((repo / ".venv/lib").glob("python*")) / "site-packages"
    for folder in (*site.glob("pytest*"), *site.glob("_pytest*")):
        shutil.rmtree(folder)
    assert_told(owner.ouro(repo, "fix"), Exit.PERSON, "pytest is not installed", "Install it: `")
    assert (repo / CART).read_text() == PLUS


def test_without_tests_there_is_nothing_to_go_by(owner: Owner, tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {CART: SHOP[CART]})
    assert_told(owner.ouro(repo, "fix"), Exit.PERSON, "There are no tests that pytest finds", "Write one")


def test_a_suite_that_hangs_is_stopped(owner: Owner, tmp_path: Path) -> None:
    hanging = "import threading\n\n\ndef test_for_ever():\n    threading.Event().wait()\n"
    repo = broken_shop(tmp_path, {"tests/test_hang.py": hanging})
    said = owner.ouro(repo, "fix", OURO_PIPELINE__SUITE_BUDGET_S="2")
    assert_told(said, Exit.PERSON, "did not end in time", "suite_budget_s")
    assert "tests/test_hang.py::test_for_ever" in said.sentence
    assert python_of(repo) == []


def python_of(repo: Path) -> list[str]:
    """Processes that still run the repository's interpreter."""
    wanted, found = os.fsencode(repo / ".venv/bin/python"), []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if wanted in words:
            found.append(entry.name)
    return found


def test_in_the_middle_of_a_merge_it_waits_for_the_owner(owner: Owner, tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    git(repo, "checkout", "-q", "-b", "other", "HEAD^")
    commit(repo, "Otherwise", {"notes.txt": "other\n"})
    git(repo, "checkout", "-q", "main")
    git(repo, "merge", "-q", "--no-commit", "--no-ff", "other")
    before = git(repo, "status", "--porcelain")
    said = owner.ouro(repo, "fix")
    assert_told(said, Exit.PERSON, "A merge is under way", "git merge --abort")
    assert git(repo, "status", "--porcelain") == before
    assert (repo / ".git/MERGE_HEAD").exists()


def test_a_bare_an_empty_and_no_repository(owner: Owner, tmp_path: Path) -> None:
    bare, empty, none = tmp_path / "bare.git", tmp_path / "empty", tmp_path / "none"
    for folder in (bare, empty, none):
        folder.mkdir()
    git(bare, "init", "-q", "--bare")
    git(empty, "init", "-q")
    assert_told(owner.ouro(bare, "fix"), Exit.USAGE, "bare repository", "checkout")
    assert_told(owner.ouro(empty, "fix"), Exit.USAGE, "has no commit yet", "first commit")
    assert_told(owner.ouro(none, "fix"), Exit.USAGE, "not inside a git repository", "--repo")


def test_a_broken_settings_file(owner: Owner, tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "shop", SHOP)
    mine = owner.home / ".config/ouroboros/config.toml"
    write(owner.home, {".config/ouroboros/config.toml": "[pipeline\nworkers = 2\n"})
    assert_told(owner.ouro(repo, "fix"), Exit.USAGE, f"{mine} is not valid TOML", "Mend the line")
    write(owner.home, {".config/ouroboros/config.toml": "[pipeline]\nworker = 2\n"})
    assert_told(owner.ouro(repo, "fix"), Exit.USAGE, "there is no setting 'pipeline.worker'", "workers")
    write(owner.home, {".config/ouroboros/config.toml": "[pipeline]\nworkers = 0\n"})
    assert_told(owner.ouro(repo, "fix"), Exit.USAGE, "pipeline.workers = 0 is not valid", "docs/settings.md")
    mine.unlink()
    write(repo, {".ouro/config.toml": "nonsense\n"})
    assert_told(owner.ouro(repo, "fix"), Exit.USAGE, ".ouro/config.toml is not valid TOML", "Mend the line")


def test_without_weights_it_says_where_to_get_them(owner: Owner, tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    said = owner.ouro(repo, "fix", without="OURO_KERNEL__SCRIPTED__SCRIPT", OURO_KERNEL__PROVIDER="local")
    assert said.code == Exit.PERSON, (said.out, said.err)
    assert "ouro model pull" in said.out, said.out
    assert (repo / CART).read_text() == PLUS
    assert_works_after_all(owner, repo)


@pytest.mark.long
def test_a_repair_on_a_review_branch_waits_for_a_person(owner: Owner, tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    git(repo, "checkout", "-q", "--detach")
    said = owner.ouro(repo, "fix")
    assert "HEAD is detached" in said.out
    assert "take it: git merge ouro/review/" in said.out
    again = owner.ouro(repo, "fix")
    assert again.code == Exit.PERSON, (again.out, again.err)
    assert "Its repair waits on branch ouro/review/" in again.out
    assert owner.ouro(repo, "run", "--once").code == Exit.PERSON


def test_green_is_nothing_to_do(owner: Owner, tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    said = owner.ouro(repo, "fix")
    assert said.code == Exit.NOTHING, (said.out, said.err)
    assert "Green at" in said.out
    assert owner.ouro(repo, "run", "--once").code == Exit.DONE


def test_a_goal_that_only_the_owner_can_judge_waits_without_a_terminal(owner: Owner, tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    edit = swap(CART, '    """Sum after the discount."""', '    """Sum."""')
    script = tmp_path / "turns.json"
    script.write_text(json.dumps({"turns": [{"text": edit}]}))
    settings = {"OURO_KERNEL__SCRIPTED__SCRIPT": str(script), "OURO_APPROVAL__TIMEOUT_S": "2"}
    said = owner.ouro(repo, "submit", "Shorten the docstring", "--files", CART, "--wait", **settings)
    assert said.code == Exit.PERSON, (said.out, said.err)
    assert "ouro approve" in said.out
    time.sleep(2)
    owner.ouro(repo, "run", "--once", **settings)
    assert "approval.expired" in owner.ouro(repo, "ledger", "export").out
    assert (repo / CART).read_text() == SHOP[CART]
