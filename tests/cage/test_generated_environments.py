"""Environments that nobody thought of: built at random, found as the daemon finds them, and looked out of from inside.

The oracle stands outside: a word in files of the owner's home, and a unix socket that hears who comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.cage.walls.environments import Ground, anything_goes, find, lay_ground
from tests.repos import git, host_env, make_repo
from tools.sandbox.choice import choose
from tools.sandbox.probe import interpreter
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job, Mount, Sandbox

VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
NAMES = (
    "env", ":", ":(attr:x)", ":(top)", ":!x", "-c", "--", "new\nline", "*", "[a]", "~", "$HOME", "a b", "\u00e9",
    os.fsdecode(b"\xff\xfe"), ".VENV", "#x", "import os",
)  # fmt: skip
OUTSIDE = (
    "{home}/.ssh",
    "{home}",
    "{home}/conda",
    "{sockets}",
    "{state}",
    "{keys}",
    "/",
    "/etc",
    "{up}/ours/home/.ssh",
)
LOOK = """
import os, socket, stat, sys
word, seen, todo = sys.argv[1], set(), list(sys.argv[2:])
def look(path):
    try:
        if os.path.realpath(path).startswith("/proc"):
            return  # processes inside: this one's words are read there, too
        kind = os.stat(path).st_mode
        if stat.S_ISSOCK(kind):
            socket.socket(socket.AF_UNIX).connect(path)
        elif stat.S_ISREG(kind) and os.path.getsize(path) < 1000 and word in open(path, errors="replace").read():
            print("READ", ascii(path))
        elif stat.S_ISDIR(kind):
            todo.extend(os.path.join(path, name) for name in sorted(os.listdir(path))[:40])
    except (OSError, ValueError):
        pass
while todo and len(seen) < 3000:
    path = todo.pop(0)
    if path not in seen and path.count("/") < 25:
        seen.add(path)
        look(path)
"""


@dataclass(frozen=True)
class Recipe:
    """What is built: ``way`` is how ``.venv`` leads to it, ``whose`` who wrote what."""

    name: str
    way: str
    whose: str
    lines: tuple[str, ...]
    home: str
    links: tuple[tuple[str, str], ...]


lines = st.lists(
    st.sampled_from([*OUTSIDE, "{repo}/out", "../../../../../ours/home/.ssh", "nul\0", "import x"]), max_size=3
)
places_of_links = st.sampled_from(
    ["lib", "bin", f"lib/{VERSION}", f"lib/{VERSION}/site-packages", "pyvenv.cfg", "include", "bin/python"]
)
recipes = st.builds(
    Recipe,
    name=st.sampled_from(NAMES),
    way=st.sampled_from(["itself", "link", "two links", "link with a step back", "setting"]),
    whose=st.sampled_from(["tracked", "one file tracked", "link tracked", "submodule", "left by a submodule", "owner"]),
    lines=lines.map(tuple),
    home=st.sampled_from(["/usr/bin", "{home}/conda/bin", "{home}/bin", "{repo}/out/bin"]),
    links=st.lists(st.tuples(places_of_links, st.sampled_from(OUTSIDE)), max_size=2).map(tuple),
)


class Yard:
    """One place where recipes are cooked, one after the other, and the sandbox that they are looked out of from."""

    def __init__(self, ground: Ground, sandbox: Sandbox) -> None:
        self.ground, self.sandbox = ground, sandbox

    def spelt(self, text: str) -> str:
        places = self.ground.places
        return text.format(
            home=places.home, sockets=self.ground.sockets, state=places.state, keys=places.keys, repo=places.repo,
            up=places.repo.parent,
        )  # fmt: skip

    def build(self, recipe: Recipe) -> Path:
        """A repository with that environment; returns what the owner's setting would name."""
        repo = self.ground.repo
        shutil.rmtree(repo)
        make_repo(repo, {".gitignore": ".venv\n.VENV\n"})
        (repo / "out").symlink_to(self.ground.places.home)
        folder = repo / (".venv" if recipe.way == "itself" else recipe.name)
        if recipe.whose in ("submodule", "left by a submodule"):
            make_repo(folder)
        self._fill(folder, recipe)
        if recipe.way in ("link", "two links", "link with a step back"):
            target = f"{folder.name}/lib/.." if recipe.way == "link with a step back" else folder.name
            if recipe.way == "two links":
                (repo / "hop").symlink_to(target)
                target = "hop"
            (repo / ".venv").symlink_to(target)
        self._commit(folder, recipe)
        return folder

    def _fill(self, folder: Path, recipe: Recipe) -> None:
        site = folder / "lib" / VERSION / "site-packages"
        site.mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "bin/python").symlink_to("/usr/bin/python3")
        (site / "pytest-8.0.dist-info").mkdir()
        (site / "pytest-8.0.dist-info/METADATA").touch()
        (site / "zz.pth").write_bytes(os.fsencode("\n".join(map(self.spelt, recipe.lines))))
        version = ".".join(map(str, sys.version_info[:2]))
        (folder / "pyvenv.cfg").write_text(f"home = {self.spelt(recipe.home)}\nversion = {version}.0\n")
        for place, target in recipe.links:
            there = folder / place
            if there.parent.is_dir() and not there.parent.is_symlink():
                if there.is_dir() and not there.is_symlink():
                    shutil.rmtree(there)
                there.unlink(missing_ok=True)
                there.symlink_to(self.spelt(target))

    def _commit(self, folder: Path, recipe: Recipe) -> None:
        repo = self.ground.repo
        name = folder.name
        if recipe.whose in ("submodule", "left by a submodule"):
            _try(folder, "add", "-f", ".")
            _try(folder, "commit", "-q", "-m", "x")
        if recipe.whose == "owner":
            return
        one = folder / "lib" / VERSION / "site-packages/zz.pth"
        paths = [name] if recipe.whose != "one file tracked" else [str(one.relative_to(repo))]
        if recipe.whose == "link tracked":
            paths = [path for path in (".venv", "hop") if (repo / path).is_symlink()]
        _try(repo, "--literal-pathspecs", "add", "-f", "--", *paths)
        _try(repo, "commit", "-q", "-m", "hostile")
        if recipe.whose == "left by a submodule":
            _try(repo, "--literal-pathspecs", "rm", "-q", "-f", "--cached", "-r", "--", name)

    async def looks_out(self, recipe: Recipe) -> str:
        """What code behind the walls gets to, when it is given what such an environment needs."""
        folder = self.build(recipe)
        setting = {"python": str(folder)} if recipe.way == "setting" else {}
        found = await find(self.ground, **setting)
        if found.problem is not None:
            assert found.problem.endswith(".") and "\n" not in found.problem
        else:
            assert found.trouble() is None
        repo, copy = self.ground.repo, self.ground.places.cache / "workspaces/x"
        copy.mkdir(parents=True, exist_ok=True)
        program, needed = interpreter()
        at = repo if self.sandbox.maps_paths else copy
        outside = [self.spelt(text) for text in OUTSIDE if text not in ("/", "/etc")]
        looked = (*outside, str(repo), str(self.ground.sockets / "s"))
        if not self.sandbox.maps_paths:
            looked = outside  # paths are the host's, and what lies in the repository is the owner's checkout
        job = Job(
            argv=(str(program), "-I", "-S", "-c", LOOK, self.ground.word, *looked),
            cwd=at,
            mounts=(Mount(source=copy, target=at, writable=True, ours=True, closed=True), *needed, *found.mounts),
            timeout_s=60,
        )
        done = await self.sandbox.run(job)
        assert done.code == 0, done.output
        with contextlib.suppress(BlockingIOError):
            self.ground.listener.accept()[0].close()
            return "CONNECTED"
        return done.output.decode()


def _try(repo: Path, *args: str) -> None:
    """What git takes of it; it refuses some, and says so in bytes that are no text."""
    with contextlib.suppress(AssertionError, UnicodeDecodeError):
        git(repo, *args)


@pytest.fixture(scope="module", params=["bwrap", "landlock"])
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    ground = lay_ground(tmp_path_factory.mktemp("yard"))
    conda = ground.places.home / "conda"
    (conda / "lib" / VERSION).mkdir(parents=True)
    (conda / "lib" / VERSION / "os.py").touch()
    (conda / ".condarc").write_text(ground.word)
    with ground.listener:
        choice = asyncio.run(choose(SandboxSettings(backend=request.param), ground.places, host_env()))
        if choice.sandbox is None:
            pytest.skip(f"{request.param} does not work here: {choice.remedy}")
        yield Yard(ground, choice.sandbox)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recipe=recipes)
def test_no_environment_shows_what_lies_outside(yard: Yard, recipe: Recipe) -> None:
    if recipe.whose == "owner":  # he may do as he likes with his own; his files' lines alone still show nothing
        recipe = replace(recipe, links=())
    if recipe.way == "setting":
        assume(recipe.name.isprintable())  # settings are text: no other name can stand in them
    assert asyncio.run(yard.looks_out(recipe)) == ""


@pytest.mark.parametrize("whose", ["tracked", "one file tracked", "link tracked", "submodule", "left by a submodule"])
def test_without_the_wall_such_an_environment_does(yard: Yard, whose: str) -> None:
    recipe = Recipe(":", "link", whose, ("{home}/.ssh", "{sockets}"), "/usr/bin", ())
    assert asyncio.run(yard.looks_out(recipe)) == ""
    with anything_goes():
        assert asyncio.run(yard.looks_out(recipe)) != ""
