"""What goes wrong around the work: one clear sentence, what to do about it, the right exit code, and nothing lost.

Everything goes through the command line in a process of its own, with its standard input closed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.exit_codes import Exit
from tests.e2e.talking import swap
from tests.e2e.world import PLUS, SHOP, own_environment, repo_with
from tests.repos import commit, git, host_env, make_repo, write

PROJECT = Path(__file__).parents[2]
CART, LOGIN = "shop/cart.py", "shop/login.py"
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
    assert_told(owner.ouro(repo, "fix"), Exit.REFUSED, "pytest is not installed", "Install it: `")
    assert (repo / CART).read_text() == PLUS


def test_without_tests_there_is_nothing_to_go_by(owner: Owner, tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {CART: SHOP[CART]})
    assert_told(owner.ouro(repo, "fix"), Exit.REFUSED, "There are no tests that pytest finds", "Write one")


def test_a_suite_that_takes_too_long_is_stopped(owner: Owner, tmp_path: Path) -> None:
    slow = "import time\n" + "".join(f"def test_{n}(): time.sleep(1)\n" for n in range(9))
    repo = broken_shop(tmp_path, {"tests/test_slow.py": slow})
    said = owner.ouro(repo, "fix", OURO_PIPELINE__SUITE_BUDGET_S="3")
    assert_told(said, Exit.REFUSED, "did not end in time", "suite_budget_s")
    assert "tests/test_slow.py::test_" in said.sentence
    assert python_of(repo) == []


def test_a_test_that_hangs_does_not_keep_the_others_from_being_repaired(owner: Owner, tmp_path: Path) -> None:
    hanging = "import threading\n\n\ndef test_for_ever():\n    threading.Event().wait()\n"
    repo = broken_shop(tmp_path, {"tests/test_hang.py": hanging})
    said = owner.ouro(repo, "fix", OURO_TESTS__TEST_S="3")
    assert said.code == Exit.PERSON and "committed" in said.out, (said.code, said.out, said.err)
    assert "test_for_ever" in said.out
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
    assert said.code == Exit.REFUSED, (said.out, said.err)
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


def test_what_is_not_committed_is_not_called_green(owner: Owner, tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    assert owner.ouro(repo, "init").code == Exit.DONE  # leaves .ouro/ behind, which is no work of the owner's
    assert "uncommitted" not in owner.ouro(repo, "fix").out
    write(repo, {CART: PLUS})
    said = owner.ouro(repo, "fix")
    assert said.code == Exit.NOTHING
    assert "Green at" in said.out and "1 file has uncommitted changes, which are not looked at" in said.out
    assert "test_failure.eager" in said.out
    eager = owner.ouro(repo, "fix", OURO_TEST_FAILURE__EAGER="true")
    assert "uncommitted changes" not in eager.out


def test_a_test_that_there_is_not_is_a_slip(owner: Owner, tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    for wrong in ("tests/test_nope.py::test_x", "tests/test_cart.py::test_x"):
        assert_told(owner.ouro(repo, "fix", wrong), Exit.USAGE, wrong.split("::")[0], "")


def test_after_a_repair_every_advice_works_without_a_daemon(owner: Owner, tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    said = owner.ouro(repo, "fix")
    assert said.code == Exit.DONE, (said.out, said.err)
    op = said.out.rpartition("undo: ouro undo ")[2].split()[0]
    assert op in owner.ouro(repo, "ops", "--all").out and "No ops." in owner.ouro(repo, "ops").out
    shown = owner.ouro(repo, "show", op).out
    assert "ouro undo" in shown and "subtotal - discount" in shown
    signal = json.loads(owner.ouro(repo, "show", op, "--json").out)["signals"][0]
    assert owner.ouro(repo, "show", signal).out == shown
    assert owner.ouro(repo, "diff", op).out.startswith("diff --git")
    assert "1 complete" in owner.ouro(repo, "cost").out
    undone = owner.ouro(repo, "undo", op)
    assert undone.code == Exit.DONE and "is undone by" in undone.out, (undone.out, undone.err)
    assert (repo / CART).read_text() == PLUS
    assert "Ouro-Undoes: op-" in git(repo, "log", "-1", "--format=%B")
    assert "ouro undo" not in owner.ouro(repo, "show", op).out
    again = owner.ouro(repo, "undo", op)
    assert_told(again, Exit.USAGE, "was undone by", "")
    assert owner.ouro(repo, "ledger", "verify").code == Exit.DONE


def guarded_shop(tmp_path: Path) -> Path:
    """The broken shop, in a module by whose name gates know that a person has to look."""
    guarded = {path.replace("cart", "login"): text.replace(".cart", ".login") for path, text in SHOP.items()}
    repo = repo_with(tmp_path / "shop", guarded)
    commit(repo, "Speed up totals", {LOGIN: PLUS})
    return repo


def waiting(owner: Owner, repo: Path, **settings: str) -> str:
    """Repair up to the owner's yes; the op as the command to approve it names it."""
    said = owner.ouro(repo, "fix", **settings)
    assert said.code == Exit.PERSON, (said.out, said.err)
    assert (repo / LOGIN).read_text() == PLUS
    return said.out.rpartition("ouro approve ")[2].split()[0]


def test_what_waits_is_approved_without_a_daemon(owner: Owner, tmp_path: Path) -> None:
    repo = guarded_shop(tmp_path)
    op, head = waiting(owner, repo), git(repo, "rev-parse", "HEAD")
    said = owner.ouro(repo, "approve", op)
    assert said.code == Exit.DONE and "is approved and goes on" in said.out, (said.out, said.err)
    assert git(repo, "rev-parse", "HEAD^") == head and (repo / LOGIN).read_text() == SHOP[CART]
    assert_told(owner.ouro(repo, "approve", op), Exit.USAGE, "does not wait for approval", "ouro ops")
    assert owner.ouro(repo, "ledger", "verify").code == Exit.DONE


def test_what_waits_is_rejected_without_a_daemon_and_nothing_else_begins(owner: Owner, tmp_path: Path) -> None:
    repo = guarded_shop(tmp_path)
    op = waiting(owner, repo)
    said = owner.ouro(repo, "reject", op, "--reason", "the test is wrong")
    assert said.code == Exit.DONE and "will not be offered again" in said.out, (said.out, said.err)
    assert (repo / LOGIN).read_text() == PLUS and "No ops." in owner.ouro(repo, "ops").out
    assert "the test is wrong" in owner.ouro(repo, "show", op).out
    assert len(owner.ouro(repo, "ops", "--all").out.splitlines()) == 1


def test_what_waited_too_long_is_not_approved_without_a_daemon(owner: Owner, tmp_path: Path) -> None:
    repo = guarded_shop(tmp_path)
    op, head = waiting(owner, repo, OURO_APPROVAL__TIMEOUT_S="1"), git(repo, "rev-parse", "HEAD")
    time.sleep(1.1)  # the time that is to run out
    said = owner.ouro(repo, "approve", op)
    assert said.code == Exit.REFUSED and "its time ran out" in said.out, (said.out, said.err)
    assert git(repo, "rev-parse", "HEAD") == head and (repo / LOGIN).read_text() == PLUS


def test_a_goal_in_words_is_refused_by_a_kernel_that_fills_holes(owner: Owner, tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    said = owner.ouro(repo, "submit", "Shorten the docstring", "--wait")
    assert_told(said, Exit.USAGE, "takes no goal in words", "--closed-when")


def test_beside_the_owners_own_edit_the_merge_comes_after_a_commit(owner: Owner, tmp_path: Path) -> None:
    repo = broken_shop(tmp_path)
    write(repo, {CART: PLUS + "\n\nMINE = 1\n"})
    said = owner.ouro(repo, "fix")
    assert said.code == Exit.DONE, (said.out, said.err)
    assert "commit or stash your own changes, then take it: git merge ouro/review/" in said.out


class Interrupted:
    """An `ouro` that a test's suite keeps busy until a signal ends it."""

    def __init__(self, owner: Owner, repo: Path, *words: str, **settings: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from daemon.cli import main; main()", "--repo", str(repo), *words],
            cwd=PROJECT, env={**owner.environment, **settings}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def reads(self, text: str) -> str:
        """Output up to the line that holds ``text``."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if text in line:
                return "".join(lines)
        raise AssertionError((text, lines, self.process.communicate()))

    def ends(self) -> Said:
        out, err = self.process.communicate(timeout=60)
        return Said(self.process.returncode, out, err)


SLOW = (
    "import time\n\nfrom shop.cart import total\n\n\ndef test_slow():\n    if total([1], discount=1) != 0:\n"
    "        time.sleep(2)\n    assert total([1], discount=1) == 0\n"
)


def test_the_second_signal_ends_it_and_both_say_so(owner: Owner, tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, "tests/test_slow.py": SLOW})
    commit(repo, "Speed up totals", {CART: PLUS})
    fix = Interrupted(owner, repo, "fix", "tests/test_slow.py::test_slow")
    fix.reads("op-")
    fix.process.send_signal(signal.SIGINT)
    assert "waiting up to 10 s for op-" in fix.reads("once more ends it now")
    began = time.monotonic()
    fix.process.send_signal(signal.SIGINT)
    said = fix.ends()
    assert time.monotonic() - began < 8
    assert said.code == Exit.STOPPED, (said.out, said.err)
    assert "stopping: ending op-" in said.out
    assert "the daemon was stopped during" in said.out and "goes on at the next start" in said.out
    assert "crash" not in said.out and "stop.late" not in said.err and "Traceback" not in said.err
    assert_works_after_all(owner, repo)


def test_a_signal_during_the_scan_is_not_nothing_to_do(owner: Owner, tmp_path: Path) -> None:
    slow = "import time\n\n\ndef test_slow():\n    time.sleep(30)\n"
    repo = repo_with(tmp_path / "shop", {**SHOP, "tests/test_slow.py": slow})
    fix = Interrupted(owner, repo, "fix")
    deadline = time.monotonic() + 60
    while not python_of(repo) and time.monotonic() < deadline:
        time.sleep(0.1)
    fix.process.send_signal(signal.SIGTERM)
    said = fix.ends()
    assert (said.code, said.out) == (Exit.STOPPED, "stopping\n"), (said.out, said.err)
    assert time.monotonic() < deadline and python_of(repo) == []


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
