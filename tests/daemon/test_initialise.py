from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from daemon.initialise import Step, Wishes, initialise, wakeup_lines
from governance.changes.settings import ChangeSettings
from governance.changes.signing import ensure_identity
from ledger.errors import ConfigError
from ledger.places import Places
from tests.repos import commit, git, make_places, make_repo


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path / "ours", make_repo(tmp_path / "repo", {"a.py": "x = 1\n"}))


class Owner:
    """Answers a question and remembers it."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.questions: list[str] = []

    def __call__(self, question: str) -> bool:
        self.questions.append(question)
        return self.answer


NO_WISH = Wishes()


def init(places: Places, site: Path | None = None, wishes: Wishes = NO_WISH, ask: Owner | None = None) -> list[Step]:
    def keys() -> Path:
        return ensure_identity(places, ChangeSettings()).key

    return list(initialise(places, make_keys=keys, site_packages=site, wishes=wishes, ask=ask))


def listing(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_it_writes_settings_and_keys_and_nothing_else(places: Places) -> None:
    before = listing(places.repo)
    steps = init(places)
    after = listing(places.repo)
    assert set(after) - set(before) == {".ouro/config.toml", ".ouro/.gitignore"}
    assert {name: after[name] for name in before} == before
    assert stat.S_IMODE((places.keys / "signing_ed25519").stat().st_mode) == 0o600
    assert [step.done for step in steps] == [True, True, True, False]
    (places.repo / ".ouro" / "noise").write_text("")
    assert git(places.repo, "status", "--porcelain", "-uall").split("\n") == [
        "?? .ouro/.gitignore",
        "?? .ouro/config.toml",
    ]


def test_nobody_to_ask_is_no_no(places: Places, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    assert "nobody to ask; `ouro init --yes`" in init(places, tmp_path / "site")[-1].text
    assert "as you wish" in init(places, tmp_path / "site", Wishes(plugin=False))[-1].text
    assert "as you wish" in init(places, tmp_path / "site", ask=Owner(False))[-1].text


def test_again_changes_nothing(places: Places, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    init(places, site, Wishes(plugin=True, hook=True))
    (places.repo / ".ouro" / "config.toml").write_text("# mine\n")
    before = listing(tmp_path)
    steps = init(places, site, Wishes(plugin=True, hook=True))
    assert not any(step.done for step in steps)
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("wish", "answer", "written", "asked"),
    [
        (None, None, False, 0),
        (None, False, False, 1),
        (None, True, True, 1),
        (True, None, True, 0),
        (False, True, False, 0),
    ],
)
def test_the_wake_up_needs_a_yes(
    places: Places, tmp_path: Path, wish: bool | None, answer: bool | None, written: bool, asked: int
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    owner = None if answer is None else Owner(answer)
    init(places, site, Wishes(plugin=wish), owner)
    assert bool(list(site.iterdir())) is written
    assert len(owner.questions if owner else []) == asked


def test_the_hook_only_on_request_and_never_over_the_owners(places: Places) -> None:
    hook = places.common_dir / "hooks" / "post-commit"
    init(places)
    assert not hook.exists()
    init(places, wishes=Wishes(hook=True))
    head = git(places.repo, "rev-parse", "HEAD")
    assert commit(places.repo, "second", {"a.py": "x = 2\n"}) != head
    assert json.loads((places.spool / "post-commit.json").read_text()) == {"kind": "commit"}
    hook.write_text("#!/bin/sh\nexit 0\n")
    init(places, wishes=Wishes(hook=True))
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"


def test_a_file_in_place_of_our_folder_is_refused(places: Places) -> None:
    (places.repo / ".ouro").write_text("mine")
    with pytest.raises(ConfigError):
        init(places)
    assert (places.repo / ".ouro").read_text() == "mine"


def environment(folder: Path) -> Path:
    """A virtual environment in which pytest can be imported; returns its python."""
    venv.create(folder, with_pip=False, symlinks=True)
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def pytest_in(python: Path, repo: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    plain = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1", **env}
    plain["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the borrowed packages would warn
    argv = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *args]
    return subprocess.run(argv, cwd=repo, env=plain, capture_output=True, text=True, check=False)


TESTS = {
    "test_a.py": """
import os, subprocess, sys

def test_good():
    assert "_ouro" not in os.environ.get("PYTEST_PLUGINS", "")

def test_bad():
    assert 1 == 2
"""
}


def test_a_pytest_run_of_the_owner_leaves_a_note_and_is_otherwise_unchanged(tmp_path: Path) -> None:
    odd = make_repo(tmp_path / "re 'po\" ü", TESTS)
    places = make_places(tmp_path / "ours", odd)
    python = environment(tmp_path / "env")
    site = next((tmp_path / "env" / "lib").glob("*/site-packages"))
    before = pytest_in(python, odd)
    init(places, site, Wishes(plugin=True))
    after = pytest_in(python, odd)
    assert (before.returncode, after.returncode) == (1, 1)
    assert before.stdout.split(" in ")[0] == after.stdout.split(" in ")[0] and after.stderr == before.stderr
    (note,) = places.spool.iterdir()
    found = json.loads(note.read_text())
    assert stat.S_IMODE(note.stat().st_mode) == 0o600 and note.suffix == ".json"
    assert {key: found[key] for key in ("kind", "repository", "exit", "collected", "passed", "red")} == {
        "kind": "pytest",
        "repository": str(places.repo),
        "exit": 1,
        "collected": 2,
        "passed": 1,
        "red": ["test_a.py::test_bad"],
    }


def test_no_note_for_another_project_and_no_trouble_without_a_spool(tmp_path: Path) -> None:
    places = make_places(tmp_path / "ours", make_repo(tmp_path / "repo", {"test_a.py": "def test(): pass\n"}))
    other = make_repo(tmp_path / "other", {"test_a.py": "def test(): pass\n"})
    python = environment(tmp_path / "env")
    site = next((tmp_path / "env" / "lib").glob("*/site-packages"))
    init(places, site, Wishes(plugin=True))
    assert pytest_in(python, other).returncode == 0
    assert list(places.spool.iterdir()) == []
    places.spool.rmdir()
    done = pytest_in(python, places.repo)
    assert done.returncode == 0 and done.stderr == ""
    code = "import os, sys; print(os.environ.get('PYTEST_PLUGINS'), 'json' in sys.modules)"
    plain = subprocess.run([python, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert plain.stdout.split() == ["None", "False"]


def test_the_pth_line_is_one_line_whatever_the_path(places: Places) -> None:
    line = wakeup_lines(places)
    assert line.count("\n") == 1 and line.isascii()
    compile(line, "pth", "exec")
