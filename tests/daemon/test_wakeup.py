"""The pytest wake-up in real pytest runs: it tells, and whatever stands in its way spoils nothing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from daemon.data import _ouro_wakeup
from daemon.lifecycle.wakeup import FOLDER, MODULE, install, is_installed
from ledger.errors import ConfigError
from ledger.places import Places
from tests.e2e.world import own_environment
from tests.repos import host_env, make_places, make_repo

TESTS = {
    "test_a.py": "def test_good():\n    pass\n\n\ndef test_bad():\n    assert 1 == 2\n",
    ".gitignore": ".venv\n__pycache__/\n",
}


class Place:
    """A repository with its own pytest, in an odd folder, and the wake-up in it."""

    def __init__(self, base: Path) -> None:
        self.repo = make_repo(base / "re 'po\" ü", TESTS)
        self.places: Places = make_places(base / "ours", self.repo)
        self.site = own_environment(self.repo)
        self.before = self.run()
        assert install(self.site, self.places)

    def run(self, *args: str, cwd: Path | None = None) -> tuple[int, str, str]:
        """Exit code, output without the time it took, errors."""
        command = args or ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
        argv = [str(self.repo / ".venv/bin/python"), *command]
        env = {**host_env().variables, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            argv, cwd=cwd or self.repo, env=env, capture_output=True, text=True, check=False, timeout=120
        )
        return done.returncode, done.stdout.rpartition(" in ")[0], done.stderr

    def notes(self) -> list[Path]:
        return sorted(self.places.spool.glob("[!.]*"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Read-only for the tests, except for the spool folder, which each leaves empty."""
    return Place(tmp_path_factory.mktemp("wakeup"))


def test_a_run_of_the_owner_leaves_a_note_and_is_otherwise_unchanged(place: Place) -> None:
    assert place.before[0] == 1 and place.run() == place.before
    (note,) = place.notes()
    found = json.loads(note.read_text())
    assert stat.S_IMODE(note.stat().st_mode) == 0o600 and note.suffix == ".json"
    assert {key: found[key] for key in ("kind", "repository", "exit", "collected", "passed", "red")} == {
        "kind": "pytest", "repository": str(place.places.repo), "exit": 1, "collected": 2, "passed": 1,
        "red": ["test_a.py::test_bad"],
    }  # fmt: skip
    note.unlink()


def test_it_tells_however_pytest_is_started(place: Place) -> None:
    """As an editor does it: no word of the command is `pytest`."""
    code = "import sys, pytest; sys.exit(pytest.main(['-q', '-k', 'good', '-p', 'no:cacheprovider']))"
    assert place.run("-c", code)[0] == 0
    assert place.run("-m", "pytest", "-p", "no:terminal", "-p", "no:cacheprovider")[0] == 1
    assert len(place.notes()) == 2
    for note in place.notes():
        note.unlink()


def test_another_project_and_another_python_program_are_none_of_its_business(place: Place, tmp_path: Path) -> None:
    make_repo(tmp_path / "other", {"test_b.py": "def test(): pass\n"})
    assert place.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path / "other")[0] == 0
    code = "import os, sys; print('_ouro_wakeup' in sys.modules, [n for n in os.environ if 'PYTEST' in n], 'and in 0')"
    assert place.run("-c", code)[1] == "False [] and"
    assert place.notes() == []


def gone(spool: Path) -> None:
    spool.rename(spool.with_name("elsewhere"))


def a_loop(spool: Path) -> None:
    gone(spool)
    spool.symlink_to(spool)


def a_pipe_that_nobody_reads(spool: Path) -> None:
    gone(spool)
    os.mkfifo(spool)  # opened for writing it would wait for a reader, for ever


def read_only(spool: Path) -> None:
    gone(spool)
    spool.symlink_to("/proc/self/task")  # not even root can make a file there


def full(spool: Path) -> None:
    """With no daemon, nobody has taken anything away for a long time."""
    for number in range(_ouro_wakeup.MOST_WAITING):
        (spool / f"{number}.json").write_text("{}")


@pytest.mark.parametrize("spoil", [gone, a_loop, a_pipe_that_nobody_reads, read_only, full])
def test_no_trouble_of_ours_is_seen_in_a_run(place: Place, spoil: Callable[[Path], None]) -> None:
    spool = place.places.spool
    spoil(spool)
    count = len(place.notes()) if spool.is_dir() and not spool.is_symlink() else 0
    try:
        assert place.run() == place.before
        if count:
            assert len(place.notes()) == count
    finally:
        if spoil is full:
            for note in place.notes():
                note.unlink()
        else:
            spool.unlink(missing_ok=True)
            spool.with_name("elsewhere").rename(spool)
    assert place.notes() == []


def test_a_spoilt_file_of_ours_is_no_trouble_to_the_run_nor_to_the_others(place: Place) -> None:
    folder, texts = place.site / FOLDER, ("", "{}", "[1]", "\udcff", '{"repository": 1, "spool": []}')
    for number, text in enumerate(texts):
        (folder / f"0{number}.json").write_text(text, errors="surrogateescape")
    try:
        assert place.run() == place.before
    finally:
        for spoilt in folder.glob("0?.json"):
            spoilt.unlink()
    (note,) = place.notes()
    note.unlink()


def test_what_is_written_is_a_package_that_can_be_listed_and_removed(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    one, two = (make_places(tmp_path / name, make_repo(tmp_path / f"repo-{name}")) for name in ("one", "two"))
    assert install(site, one) and not install(site, one)
    assert is_installed(site, one) and not is_installed(site, two)
    assert install(site, two) and is_installed(site, one)
    (found,) = metadata.distributions(path=[str(site)])
    assert (found.name, found.version) == ("ouroboros-wakeup", "1")
    assert [(e.group, e.value) for e in found.entry_points] == [("pytest11", "_ouro_wakeup")]
    listed = {str(file) for file in found.files or []}
    assert listed == {str(p.relative_to(site)) for p in site.rglob("*") if p.is_file()}
    (site / MODULE).write_text("old")
    assert install(site, one)  # an older one is brought up to date


def test_it_runs_on_old_pythons() -> None:
    """By its grammar at least: the repository's Python may be older than ours."""
    import ast

    text = Path(_ouro_wakeup.__file__).read_text()
    ast.parse(text, feature_version=(3, 8))
    assert sys.version_info >= (3, 11)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    return folder


def test_nothing_is_written_through_a_link_that_was_laid_for_it(site: Path, tmp_path: Path) -> None:
    places, victim = make_places(tmp_path, make_repo(tmp_path / "repo", TESTS)), tmp_path / "victim"
    victim.write_text("precious")
    (site / f"{MODULE}.{os.getpid()}").symlink_to(victim)
    assert install(site, places) and is_installed(site, places)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", [MODULE, FOLDER])
def test_a_link_in_the_place_of_ours_is_refused(site: Path, tmp_path: Path, name: str) -> None:
    places, elsewhere = make_places(tmp_path, make_repo(tmp_path / "repo", TESTS)), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (site / name).symlink_to(elsewhere)
    assert not is_installed(site, places)
    with pytest.raises(ConfigError, match="symbolic link"):
        install(site, places)
    assert not [*elsewhere.iterdir()]


def test_odd_files_in_the_place_of_ours_are_written_again(site: Path, tmp_path: Path) -> None:
    places = make_places(tmp_path, make_repo(tmp_path / "repo", TESTS))
    (site / MODULE).write_bytes(b"\xff\xfe")
    (site / FOLDER).mkdir()
    (site / FOLDER / "METADATA").touch()
    os.truncate(site / FOLDER / "METADATA", 3 * 2**40)
    (site / FOLDER / os.fsdecode(b"\xff\n.json")).touch()
    assert not is_installed(site, places)
    assert install(site, places) and is_installed(site, places)
    assert len((site / FOLDER / "RECORD").read_text().splitlines()) == 6
