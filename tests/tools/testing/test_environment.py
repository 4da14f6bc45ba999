"""Finding the repository's own environment."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.places import HostEnv, Places
from tests.repos import commit, git, host_env, make_places, make_repo, write
from tests.tools.testing.projects import make_environment
from tools.git import Git
from tools.testing.environment.detection import TestEnvironment, detect
from tools.testing.environment.layout import find_needed, ignored_needs, import_roots, project_names
from tools.testing.settings import TestSettings


@pytest.fixture
def places(tmp_path: Path) -> Places:
    repo = make_repo(tmp_path / "repo", {".gitignore": ".venv\nvenv\n.tox\n", "shop/__init__.py": ""})
    return make_places(tmp_path / "ours", repo)


def path_env(*folders: Path) -> HostEnv:
    path = ":".join([*(str(folder) for folder in folders), "/usr/bin", "/bin"])
    return HostEnv(variables={"PATH": path}, path=path)


async def found(places: Places, env: HostEnv | None = None, **settings: object) -> TestEnvironment:
    return await detect(places, TestSettings.model_validate(settings), env or host_env())


async def test_the_repositorys_own_environment_comes_first(places: Places, packages: Path) -> None:
    make_environment(places.repo / ".venv", packages)
    environment = await found(places, readable=[str(packages)])
    assert environment.problem is None
    assert environment.python == places.repo / ".venv/bin/python"
    assert environment.version == sys.version_info[:2]
    assert environment.pytest
    targets = {mount.target for mount in environment.mounts}
    assert {places.repo / ".venv", packages} <= targets
    base = Path(os.path.realpath(sys.base_prefix))
    assert base.is_relative_to("/usr") or ({base / "bin", base / "lib"} <= targets and base not in targets)
    assert not any(mount.writable for mount in environment.mounts)


async def test_one_without_pytest_gives_way_to_one_that_has_it_else_it_is_named(places: Places, packages: Path) -> None:
    make_environment(places.repo / "venv")
    environment = await found(places)
    python = places.repo / "venv/bin/python"
    assert environment.problem is not None
    assert f"pytest is not installed for {python}." in environment.problem and "pip install" in environment.problem
    make_environment(places.repo / ".tox/py311", packages)
    environment = await found(places, readable=[str(packages)])
    assert environment.problem is None and environment.python == places.repo / ".tox/py311/bin/python"


async def test_an_environment_that_the_repository_carries_is_not_believed(places: Places, packages: Path) -> None:
    make_environment(places.repo / ".venv", packages)
    git(places.repo, "add", "-f", ".venv/pyvenv.cfg")
    commit(places.repo, "hostile")
    assert (await found(places)).prefix != places.repo / ".venv"


async def test_the_owners_setting_wins(places: Places, environment: Path, packages: Path) -> None:
    make_environment(places.repo / ".venv")
    for setting in (str(environment), str(environment / "bin/python"), os.path.relpath(environment, places.repo)):
        chosen = await found(places, python=setting, readable=[str(packages)])
        assert (chosen.problem, chosen.prefix) == (None, environment)
    wrong = await found(places, python="/no/such/python")
    assert wrong.problem is not None and "/no/such/python" in wrong.problem


async def test_the_search_path_is_asked_but_never_for_the_daemons_own(places: Places, environment: Path) -> None:
    assert sys.prefix != sys.base_prefix
    chosen = await found(places, path_env(Path(sys.prefix) / "bin", environment / "bin"))
    assert chosen.prefix == environment
    chosen = await found(places, path_env(Path(sys.prefix) / "bin"))
    assert chosen.prefix != Path(sys.prefix)
    nothing = await detect(places, TestSettings(), HostEnv(variables={}, path=str(places.home)))
    assert nothing.problem is not None and "No Python was found" in nothing.problem


async def test_an_interpreter_outside_an_environment_describes_itself(places: Places) -> None:
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    chosen = await found(places, python=str(python))
    assert chosen.version == sys.version_info[:2]
    assert chosen.prefix == Path(sys.base_prefix)


async def test_poetrys_environment_is_found_by_its_name(places: Places, packages: Path) -> None:
    write(places.repo, {"pyproject.toml": '[tool.poetry]\nname = "My Shop"\n'})
    digest = base64.urlsafe_b64encode(hashlib.sha256(str(places.repo).encode()).digest()).decode()[:8]
    folder = places.home / ".cache/pypoetry/virtualenvs" / f"my_shop-{digest}-py3.11"
    folder.parent.mkdir(parents=True)
    make_environment(folder, packages)
    chosen = await found(places, readable=[str(packages)])
    assert (chosen.problem, chosen.prefix) == (None, folder)


async def test_a_link_into_the_home_folder_shows_nothing_of_it(places: Places, packages: Path) -> None:
    make_environment(places.repo / ".venv", packages, places.home)
    chosen = await found(places)
    assert not any(places.home.is_relative_to(mount.source) for mount in chosen.mounts)


@pytest.mark.parametrize("name", [".venv", "venv", ":", "-c", "new\nline"])
async def test_one_tracked_file_anywhere_below_is_told_and_nothing_else_is_taken(
    places: Places, packages: Path, name: str
) -> None:
    """Also where the owner names it. A Python of the search path is not what he would run these tests with."""
    make_environment(places.repo / "made", packages)
    (places.repo / "made").rename(places.repo / name)
    if name not in (".venv", "venv"):
        (places.repo / ".venv").symlink_to(name)
    site = next((places.repo / name / "lib").glob("python3.*/site-packages"))
    (site / "zz.pth").write_text(f"{places.home}/.ssh\n")
    git(places.repo, "--literal-pathspecs", "add", "-f", "--", str((site / "zz.pth").relative_to(places.repo)))
    git(places.repo, "commit", "-q", "-m", "hostile")
    environment = await found(places, readable=[str(packages)])
    assert environment.problem is not None and "zz.pth" in environment.problem and environment.mounts == ()
    assert "is not used for tests, because the repository decides what is in it" in environment.problem
    environment = await found(places, python=name, readable=[str(packages)])
    assert environment.problem is not None and "(setting tests.python) is not used: the repo" in environment.problem


async def test_one_that_the_repository_carries_is_passed_over_and_told(places: Places, packages: Path) -> None:
    make_environment(places.repo / ".venv", packages)
    make_environment(places.repo / "venv", packages)
    git(places.repo, "add", "-f", ".venv/pyvenv.cfg")
    environment = await found(places, readable=[str(packages)])
    assert (environment.problem, environment.prefix) == (None, places.repo / "venv")
    (said,) = environment.passed_over
    assert ".venv/pyvenv.cfg" in said


async def test_an_environment_of_the_owners_elsewhere_behind_his_own_link(
    places: Places, packages: Path, tmp_path: Path
) -> None:
    make_environment(tmp_path / "envs/shop", packages)
    (places.repo / ".venv").symlink_to(tmp_path / "envs/shop")
    environment = await found(places, readable=[str(packages)])
    assert (environment.problem, environment.prefix) == (None, tmp_path / "envs/shop")
    git(places.repo, "add", "-f", ".venv")
    assert "'.venv' is a file of the repository" in str((await found(places, readable=[str(packages)])).problem)


CHANGES: dict[str, Callable[[Path, Path], object]] = {
    "a tracked .pth": lambda repo, site: (
        (site / "zz.pth").write_text("/root\n"),
        git(repo, "add", "-f", str((site / "zz.pth").relative_to(repo))),
    ),
    "a tracked link": lambda repo, site: (
        (repo / ".venv").rename(repo / "moved"),
        (repo / ".venv").symlink_to("moved"),
        git(repo, "add", "-f", ".venv"),
    ),
    "another folder on the import path": lambda repo, site: (site / "linked.pth").write_text(f"{repo.parent}\n"),
    "another program": lambda repo, site: (
        (repo / ".venv/bin/python").unlink(),
        (repo / ".venv/bin/python").symlink_to(repo / "README"),
    ),
    "no environment": lambda repo, site: (repo / ".venv").rename(repo / "moved"),
    "a repository in it": lambda repo, site: (repo / ".venv/.git").mkdir(),
    "a need that leads out": lambda repo, site: (
        (repo / "shop/_version.py").unlink(),
        (repo / "shop/_version.py").symlink_to("/etc/hostname"),
        git(repo, "add", "-f", "shop/_version.py"),
    ),
}


async def test_an_ignored_link_shows_what_is_in_the_work_tree_alone(places: Places, packages: Path) -> None:
    make_environment(places.repo / ".venv", packages)
    (places.repo / ".gitignore").write_text(".venv\n*.so\n")
    for name, target in {"a": "shop/real", "b": ".git/config", "c": ".git", "d": "/etc/hosts", "e": "."}.items():
        (places.repo / f"{name}.so").symlink_to(target)
    (places.repo / "shop/real").touch()
    environment = await found(places, readable=[str(packages)])
    assert environment.needs == ("a.so",)


@pytest.mark.parametrize("change", CHANGES)
async def test_what_changes_after_the_start_is_noticed_before_the_next_run(
    places: Places, packages: Path, change: str
) -> None:
    site = next((make_environment(places.repo / ".venv", packages) / "lib").glob("python3.*/site-packages"))
    (places.repo / ".gitignore").write_text(".venv\nmoved\n_version.py\n")
    (places.repo / "shop/_version.py").touch()
    environment = await found(places, readable=[str(packages)])
    assert environment.trouble() is None and environment.needs == ("shop/_version.py",)
    CHANGES[change](places.repo, site)
    said = environment.trouble()
    assert said is not None and said.endswith(".") and said == environment.trouble()


async def test_what_the_owner_does_to_his_environment_is_no_trouble(places: Places, packages: Path) -> None:
    """He installs something, and commits something else; and what he takes out of git again is his own again."""
    site = next((make_environment(places.repo / ".venv", packages) / "lib").glob("python3.*/site-packages"))
    environment = await found(places, readable=[str(packages)])
    (site / "more.py").touch()
    (site / "more.pth").write_text("import sys\n")
    commit(places.repo, "more", {"shop/more.py": ""})
    assert environment.trouble() is None
    git(places.repo, "add", "-f", ".venv/pyvenv.cfg")
    assert environment.trouble() is not None
    git(places.repo, "rm", "-q", "-f", "--cached", ".venv/pyvenv.cfg")
    assert environment.trouble() is None


BAD: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "circle": lambda path: path.symlink_to(path.name),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "nul": lambda path: path.write_bytes(b"home = /a\0b/bin\nversion = 9" + b"9" * 5000 + b".1\n/a\0b\n\xff\n"),
    "deep": lambda path: path.write_text("home = " + "/x" * 50_000 + "\n" + "/x" * 50_000 + "\n"),
    "huge": lambda path: path.write_text("/tmp\n" * 1_000_000),
}


@pytest.mark.parametrize("file", ["pyvenv.cfg", "lib/{}/site-packages/zz.pth", "lib", "bin", "lib/{}"])
@pytest.mark.parametrize("kind", BAD)
async def test_no_file_of_an_environment_hangs_or_breaks_the_search(
    places: Places, packages: Path, kind: str, file: str
) -> None:
    make_environment(places.repo / ".venv", packages)
    path = places.repo / ".venv" / file.format(f"python{sys.version_info[0]}.{sys.version_info[1]}")
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    BAD[kind](path)
    environment = await asyncio.wait_for(found(places, path_env(), readable=[str(packages)]), 20)
    assert environment.problem is None or environment.problem.endswith(".")
    named = await asyncio.wait_for(found(places, python=".venv/bin/python", readable=[str(packages)]), 20)
    assert named.problem is None or named.problem.endswith(".")


@pytest.mark.parametrize(
    "text", ["tool = 1\n", "tool.poetry = 1\nproject = []\n", "a = " + "[" * 50_000, "\0", "x" * 999]
)
async def test_no_project_file_breaks_the_search(places: Places, text: str) -> None:
    write(places.repo, {"pyproject.toml": text, "poetry.lock": ""})
    assert (await found(places, path_env())).roots == (".",)
    assert import_roots(places.repo, []) == (".",)
    (places.repo / "pyproject.toml").unlink()
    (places.repo / "pyproject.toml").symlink_to("/dev/zero")
    assert import_roots(places.repo, []) == (".",)


async def test_poetrys_name_leads_nowhere_else(places: Places, packages: Path) -> None:
    digest = base64.urlsafe_b64encode(hashlib.sha256(str(places.repo).encode()).digest()).decode()[:8]
    folder = places.home / "elsewhere" / f"x-{digest}-py3.11"
    folder.parent.mkdir(parents=True)
    (places.home / ".cache/pypoetry/virtualenvs").mkdir(parents=True)
    make_environment(folder, packages)
    for name in ("../../../elsewhere/x", "*", "?", "[a-z]"):
        write(places.repo, {"pyproject.toml": f'[tool.poetry]\nname = "{name}"\n'})
        assert (await found(places)).prefix != folder


def test_names_of_the_project_come_from_the_copy_alone(tmp_path: Path) -> None:
    write(tmp_path, {"copy/lib/inside.py": "", "home/private.py": "", "home/pkg/__init__.py": ""})
    (tmp_path / "copy/src").symlink_to(tmp_path / "home")
    (tmp_path / "copy/link").symlink_to("lib")
    assert project_names(tmp_path / "copy", ("src", "link", "../home", ".")) == ("inside",)


def test_import_roots(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "src/shop/__init__.py": "",
            "lib/more.py": "",
            "odd/x.py": "",
            "pyproject.toml": '[tool.setuptools.packages.find]\nwhere = ["lib", "../out", "gone"]\n',
        },
    )
    assert import_roots(tmp_path, [tmp_path / "odd", Path("/usr")]) == ("odd", "lib", "src", ".")
    assert import_roots(tmp_path / "odd", []) == (".",)


def test_project_names(tmp_path: Path) -> None:
    write(tmp_path, {"src/shop/__init__.py": "", "tool.py": "", "setup.py": "", "docs/x.txt": "", "conftest.py": ""})
    assert project_names(tmp_path, ("src", ".", "gone")) == ("shop", "tool")


def test_only_what_tests_need_of_the_ignored_files(places: Places) -> None:
    listed = (".venv/", "node_modules/", "build/", "src/shop.egg-info/", "a/b.so", "a/_version.py", "x.log", "c.pyc")
    assert find_needed(listed) == ("a/_version.py", "a/b.so", "src/shop.egg-info")
    write(places.repo, {".gitignore": "*.so\n*.log\n", "shop/fast.so": "", "x.log": ""})
    assert ignored_needs(Git(places, host_env())) == ("shop/fast.so",)
