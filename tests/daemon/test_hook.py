"""The post-commit hook, run by real git."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from daemon.lifecycle.hook import CHAINED, folder_of, install, uninstall
from ledger.errors import ConfigError
from ledger.places import Places
from tests.repos import IDENTITY, git, host_env, make_places, make_repo
from tools.git import Git


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path / "o'urs", make_repo(tmp_path / "re po", {"a.py": "x = 1\n"}))


def hooks(places: Places) -> Path:
    return places.common_dir / "hooks"


def committed(places: Places) -> tuple[int, str]:
    """A commit of the owner: its exit code and all that it printed."""
    argv = ["git", "commit", "-q", "--allow-empty", "-m", "more"]
    done = subprocess.run(
        argv, cwd=places.repo, env={**host_env().variables, **IDENTITY}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def owners(places: Places, text: str) -> Path:
    hooks(places).mkdir(exist_ok=True)
    path = hooks(places) / "post-commit"
    path.write_text(text)
    path.chmod(0o755)
    return path


async def test_a_commit_wakes_the_daemon(places: Places) -> None:
    folder = await folder_of(Git(places, host_env()), places)
    assert folder == hooks(places)
    assert install(folder, places).done and not install(folder, places).done
    assert committed(places) == (0, "")
    (note,) = places.spool.iterdir()
    assert json.loads(note.read_text()) == {"kind": "commit"}
    assert uninstall(folder).done and not uninstall(folder).done
    assert not (folder / "post-commit").exists()


def test_the_owners_hook_goes_on_as_it_was_and_comes_back(places: Places) -> None:
    text = '#!/bin/sh\necho "mine: $#" >&2\ngit log -1 --format=%s\nexit 3\n'
    path = owners(places, text)
    before = committed(places)
    assert before[1] == "mine: 0\nmore\n"
    assert "before your own" in install(hooks(places), places).text
    assert committed(places) == before
    assert [p.name for p in places.spool.iterdir()] == ["post-commit.json"]
    assert uninstall(hooks(places)).done
    assert path.read_text() == text and path.stat().st_mode & 0o111 and not (hooks(places) / CHAINED).exists()
    assert committed(places) == before


def test_a_hook_that_is_a_link_or_switched_off_stays_what_it_is(places: Places, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho linked\n")
    script.chmod(0o755)
    hooks(places).mkdir(exist_ok=True)
    (hooks(places) / "post-commit").symlink_to(script)
    install(hooks(places), places)
    assert committed(places) == (0, "linked\n")
    script.chmod(0o644)
    assert committed(places) == (0, "")
    uninstall(hooks(places))
    assert (hooks(places) / "post-commit").readlink() == script
    assert script.read_text() == "#!/bin/sh\necho linked\n"


@pytest.mark.parametrize("spoil", ["gone", "file", "loop"])
def test_without_a_daemon_a_commit_neither_fails_nor_says_a_word(places: Places, spoil: str) -> None:
    install(hooks(places), places)
    places.spool.rmdir()
    if spoil == "file":
        places.spool.write_text("")
    elif spoil == "loop":
        places.spool.symlink_to(places.spool)
    assert committed(places) == (0, "")


def test_what_is_in_the_way_is_named_and_nothing_is_lost(places: Places) -> None:
    path = owners(places, "#!/bin/sh\n")
    (hooks(places) / CHAINED).write_text("older")
    found = install(hooks(places), places)
    assert not found.done and CHAINED in found.text
    assert path.read_text() == "#!/bin/sh\n" and (hooks(places) / CHAINED).read_text() == "older"


async def test_hooks_that_another_tool_keeps_are_left_to_it(places: Places) -> None:
    git(places.repo, "config", "core.hooksPath", ".husky")
    with pytest.raises(ConfigError) as refused:
        await folder_of(Git(places, host_env()), places)
    assert ".husky" in str(refused.value) and "post-commit.json" in str(refused.value)


async def test_a_folder_of_hooks_that_lies_elsewhere_is_left_alone(places: Places, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    hooks(places).mkdir(exist_ok=True)
    hooks(places).rename(elsewhere)
    hooks(places).symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="elsewhere"):
        await folder_of(Git(places, host_env()), places)
    before = sorted(elsewhere.iterdir())
    with pytest.raises(ConfigError):  # it became a link after that look
        install(hooks(places), places)
    assert sorted(elsewhere.iterdir()) == before


def test_nothing_is_written_through_a_link_that_was_laid_for_it(places: Places, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    hooks(places).mkdir(exist_ok=True)
    for name in ("post-commit.tmp", f"post-commit.{os.getpid()}"):
        (hooks(places) / name).symlink_to(victim)
    assert install(hooks(places), places).done
    assert victim.read_text() == "precious" and not victim.stat().st_mode & 0o111
    assert committed(places) == (0, "")


def test_a_huge_hook_is_kept_as_the_owners_without_being_read(places: Places) -> None:
    path = owners(places, "#!/bin/sh\nexit 0\n")
    os.truncate(path, 3 * 2**40)
    assert install(hooks(places), places).done
    assert uninstall(hooks(places)).done
    assert path.stat().st_size == 3 * 2**40


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_hook_is_named_and_stays(places: Places, kind: str) -> None:
    path = hooks(places) / "post-commit"
    hooks(places).mkdir(exist_ok=True)
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    found = install(hooks(places), places)
    assert not found.done and kind in found.text
    assert not uninstall(hooks(places)).done
    assert os.path.lexists(path) and not (hooks(places) / CHAINED).exists()
