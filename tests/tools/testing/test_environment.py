"""Finding the repository's own environment."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from pathlib import Path

import pytest

from ledger.places import HostEnv, Places
from tests.repos import commit, git, host_env, make_places, make_repo, write
from tests.tools.testing.projects import make_environment
from tools.git import Git
from tools.testing.environment import TestEnvironment, detect
from tools.testing.layout import ignored_needs, import_roots, needed, project_names
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
    assert needed(listed) == ("a/_version.py", "a/b.so", "src/shop.egg-info")
    write(places.repo, {".gitignore": "*.so\n*.log\n", "shop/fast.so": "", "x.log": ""})
    assert ignored_needs(Git(places, host_env())) == ("shop/fast.so",)
