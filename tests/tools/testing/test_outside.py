"""What tests may read outside the repository."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ledger.places import Places
from ledger.vocabulary import RunStatus
from tests.repos import git, host_env, make_places, make_repo
from tests.tools.testing.installations import VERSION, environment_of, make_installation
from tests.tools.testing.projects import SHOP, Backend, make_environment, make_project
from tools.git import Git
from tools.testing.environment.detection import detect
from tools.testing.environment.interpreter import Interpreter, read_environment
from tools.testing.environment.mounts import OutsideMounts, outside_mounts
from tools.testing.environment.ownership import Origin
from tools.testing.settings import TestSettings


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path / "ours", make_repo(tmp_path / "repo", {".gitignore": ".venv\n"}))


def looks_like_one(base: Path, version: str = VERSION) -> Path:
    """The names of an installation; returns its program."""
    (base / "lib" / version).mkdir(parents=True)
    (base / "lib" / version / "os.py").touch()
    for name in ("bin", "include", "share/terminfo", "secrets"):
        (base / name).mkdir(parents=True)
    (base / "bin" / version).touch()
    return base / "bin" / version


def environment_on(program: Path, places: Places, home: Path | None = None) -> Interpreter:
    folder = places.repo / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / VERSION / "site-packages").mkdir(parents=True)
    (folder / "bin/python").symlink_to(program)
    config = f"home = {home or program.parent}\nversion = {sys.version_info[0]}.{sys.version_info[1]}.0\n"
    (folder / "pyvenv.cfg").write_text(config)
    found = read_environment(folder)
    assert found is not None
    return found


def decided(found: Interpreter, places: Places, *readable: str) -> OutsideMounts:
    return outside_mounts(found, places, readable, Origin(Git(places, host_env())))


def sources(seen: OutsideMounts) -> set[Path]:
    return {mount.source for mount in seen.mounts}


MANAGERS = (".pyenv/versions/3.11.9", ".local/share/uv/python/cpython-3.11", "miniforge3", ".asdf/installs/python/3.11")


@pytest.mark.parametrize("where", MANAGERS)
def test_of_an_installation_in_the_home_folder_its_parts_are_shown_and_nothing_else(places: Places, where: str) -> None:
    base = places.home / where
    seen = decided(environment_on(looks_like_one(base), places), places)
    parts = {base / name for name in ("bin", "include", "lib", "share/terminfo")}
    assert seen.problem is None
    assert sources(seen) == {places.repo / ".venv", *parts}


def test_a_link_to_the_installation_is_a_place_too(places: Places) -> None:
    """As uv has one for each minor version, and Homebrew for each formula."""
    real = places.home / "python/cpython-3.11.9"
    looks_like_one(real)
    (places.home / "python/cpython-3.11").symlink_to(real.name)
    spelt = places.home / "python/cpython-3.11"
    seen = decided(environment_on(spelt / "bin" / VERSION, places), places)
    assert {(m.source, m.target) for m in seen.mounts} >= {(real / "lib", real / "lib"), (real / "lib", spelt / "lib")}


@pytest.mark.parametrize("kind", ["no library", "elsewhere", "in the repository", "in /tmp", "our own"])
def test_what_is_not_shown_by_itself_is_told_with_the_line_that_shows_it(
    places: Places, tmp_path: Path, kind: str
) -> None:
    base = {
        "in the repository": places.repo / "tools", "in /tmp": tmp_path / "tools", "our own": places.cache / "python",
    }.get(kind, places.home / "python")  # fmt: skip
    program = looks_like_one(base)
    if kind == "no library":
        (base / "lib" / VERSION / "os.py").unlink()
    if kind == "elsewhere":
        (base / "include").rmdir()
        (places.home / ".ssh").mkdir()
        (base / "include").symlink_to(places.home / ".ssh")
    found = environment_on(program, places)
    seen = decided(found, places)
    assert seen.problem is not None and seen.mounts == ()
    if kind != "our own":
        assert f'write `readable = ["{base}"]` below `[tests]` in {places.config}/config.toml' in seen.problem
        assert decided(found, places, str(base)).problem is None
    else:
        assert "daemon's own" in seen.problem
        assert "daemon's own" in (decided(found, places, str(base)).problem or "")


def test_home_in_the_settings_of_an_environment_shows_nothing_by_itself(places: Places) -> None:
    looks_like_one(places.home / "conda")
    seen = decided(environment_on(Path("/usr/bin/python3"), places, home=places.home / "conda/bin"), places)
    assert sources(seen) == {places.repo / ".venv"}


def test_a_folder_on_the_import_path_has_to_be_named(places: Places, tmp_path: Path) -> None:
    found = environment_on(Path("/usr/bin/python3"), places)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    lines = [f"{tmp_path}/a", f"{tmp_path}/b", f"{places.repo}", f"{tmp_path}/gone", "/usr/lib", "import os", "# x"]
    (found.sites[0] / "linked.pth").write_text("\n".join(lines))
    seen = decided(found, places, str(tmp_path / "a"))
    assert seen.problem is not None and seen.mounts == ()
    assert f'`readable = ["{tmp_path}/a", "{tmp_path}/b"]`' in seen.problem and seen.problem.count(". ") == 0
    seen = decided(found, places, str(tmp_path / "a"), str(tmp_path / "b"))
    assert sources(seen) == {tmp_path / "a", tmp_path / "b", places.repo / ".venv"}


@pytest.mark.parametrize(
    "what", ["home", "state", "keys", "above", "repository", "run", "link", "relative", "nul", "ssh", "config"]
)
def test_what_is_never_shown_even_where_it_is_named(places: Places, tmp_path: Path, what: str) -> None:
    (tmp_path / "link").symlink_to(places.keys)
    (places.home / ".ssh").mkdir()
    named = {
        "home": "~", "state": str(places.state), "keys": str(places.keys), "above": str(places.state.parent),
        "repository": str(places.repo), "run": "/run", "link": str(tmp_path / "link"), "relative": "data",
        "nul": "/a\0", "ssh": f"{places.home}/.ssh", "config": "~/.config",
    }[what]  # fmt: skip
    seen = decided(environment_on(Path("/usr/bin/python3"), places), places, named)
    assert seen.mounts == () and seen.problem is not None
    assert seen.problem.startswith("The setting tests.readable names ")
    found = environment_pth(places, named)
    if found is not None:
        said = decided(found, places).problem
        assert said is not None and "never shown" in said and "readable =" not in said


def environment_pth(places: Places, named: str) -> Interpreter | None:
    """The environment with that folder on its import path, where it is one."""
    if not named.startswith("/") or "\0" in named or Path(named).is_relative_to(places.repo):
        return None
    found = read_environment(places.repo / ".venv")
    assert found is not None
    (found.sites[0] / "linked.pth").write_text(f"{named}\n")
    return found


def test_a_named_folder_that_a_link_of_the_repository_leads_to(places: Places, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (places.repo / "data").symlink_to(tmp_path / "data")
    found = environment_on(Path("/usr/bin/python3"), places)
    assert decided(found, places, str(places.repo / "data")).problem is None
    git(places.repo, "add", "data")
    assert "'data' is a file of the repository" in (decided(found, places, str(places.repo / "data")).problem or "")


@pytest.mark.parametrize("walls", ["bwrap", "landlock"])
async def test_an_installation_of_a_version_manager_runs_tests_and_shows_nothing_beside(
    tmp_path: Path, packages: Path, walls: Backend
) -> None:
    """Behind a link for the minor version, in a dot folder of the owner's home, in an environment outside as well."""
    home = tmp_path / "ours/home"
    real = make_installation(home / ".local/share/uv/python/cpython-3.11.9-linux")
    (real.parent / "cpython-3.11-linux").symlink_to(real.name)
    (real / "secret").write_text("s3cret")
    look = (
        f"def test_beside():\n    try: text = open({str(real / 'secret')!r}).read()\n    except OSError: return\n"
        "    assert 0, text\n"
    )
    files = SHOP | {".gitignore": ".venv\n", "tests/test_beside.py": look}
    repo = make_repo(tmp_path / "repo", files)
    python = real.parent / "cpython-3.11-linux/bin/python3"
    environment_of(python, repo / ".venv", packages)
    project = await make_project(tmp_path, files, None, walls)
    assert project.environment.problem is None
    run = await project.run()
    assert (run.status, run.reason) == (RunStatus.GREEN, ""), run
    assert sys.base_prefix not in [str(mount.source) for mount in project.environment.mounts]


async def test_a_copied_program_needs_its_library_named(places: Places, packages: Path) -> None:
    make_environment(places.repo / ".venv", packages)
    python = places.repo / ".venv/bin/python"
    real = Path(os.path.realpath(python))
    python.unlink()
    python.write_bytes(real.read_bytes())
    found = await detect(places, TestSettings(readable=(str(packages),)), host_env())
    assert Path(sys.base_prefix).is_relative_to("/usr") or "whole installation" in (found.problem or "")
    base = os.path.realpath(sys.base_prefix)
    found = await detect(places, TestSettings(readable=(str(packages), base)), host_env())
    assert found.problem is None
