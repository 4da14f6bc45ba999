"""The ground for attacks through the tests' environment: a repository, its owner's environment, and what lies outside.

The oracle: a word that stands in files outside and nowhere in the repository, and a unix socket that hears who comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from ledger.places import Places
from ledger.vocabulary import RunStatus, TestRun
from tests.cage.walls import Unable
from tests.packages import lay_packages
from tests.repos import commit, git, host_env, make_places, make_repo
from tools.git import Git
from tools.sandbox.choice import choose
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Mount
from tools.testing.environment import detection
from tools.testing.environment.detection import TestEnvironment, detect
from tools.testing.environment.interpreter import Interpreter
from tools.testing.environment.mounts import OutsideMounts, outside_mounts
from tools.testing.runner import TestRunner
from tools.testing.settings import TestSettings
from tools.workspace import Workspace, Workspaces, WorkspaceSettings

TRAP = """
import os, socket, stat

def look(path):
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            socket.socket(socket.AF_UNIX).connect(path)
            return "socket"
        return open(path).read()
    except OSError as error:
        return type(error).__name__

def test_trap():
    found = [look(path) for path in {paths!r}]
    raise AssertionError("found " + repr(found))
"""


class Unplayed(Exception):
    """The planted tests did not come to a verdict."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """``home`` is outside and holds a key with ``word`` in it, ``sockets`` a socket that ``listener`` hears."""

    places: Places
    word: str
    sockets: Path
    listener: socket.socket

    @property
    def repo(self) -> Path:
        return self.places.repo

    @property
    def key(self) -> Path:
        return self.places.home / ".ssh/id_test"

    def plant(self, *paths: Path) -> None:
        """Commit a test that looks at ``paths``."""
        commit(self.repo, "A test", {"tests/test_trap.py": TRAP.replace("{paths!r}", repr([*map(str, paths)]))})

    def reached(self, run: TestRun | None) -> list[str]:
        """What got through."""
        said = run.model_dump_json() if run is not None else ""
        found = ["read outside"] if self.word in said else []
        with contextlib.suppress(BlockingIOError):
            self.listener.accept()[0].close()
            found.append("connected")
        return found + (["saw a socket"] if "'socket'" in said and "connected" not in found else [])


def lay_ground(base: Path) -> Ground:
    """Everything but the attack. The owner's environment is made by :func:`make_own`."""
    repo = make_repo(base / "repo", {".gitignore": ".venv\n_version.py\n", "shop/__init__.py": ""})
    places = make_places(base / "ours", repo)
    word = f"word-{secrets.token_hex(8)}"
    (places.home / ".ssh").mkdir(mode=0o700)
    (places.home / ".ssh/id_test").write_text(word)
    (places.keys / "signing").write_text(word)
    sockets = base / "sockets"
    sockets.mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(sockets / "s"))
    listener.listen()
    listener.setblocking(False)
    return Ground(places=places, word=word, sockets=sockets, listener=listener)


def make_own(folder: Path) -> Path:
    """A working environment with pytest in it; returns its package folder."""
    venv.create(folder, symlinks=True)
    return lay_packages(next((folder / "lib").glob("python3.*/site-packages")))


def track(ground: Ground, *paths: str) -> None:
    """Commit files although git ignores them: what a pull from somebody else brings."""
    git(ground.repo, "add", "-f", "--", *paths)
    git(ground.repo, "commit", "-q", "-m", "pulled")


async def find(ground: Ground, **settings: object) -> TestEnvironment:
    """The environment as the daemon finds it at its start."""
    return await detect(ground.places, TestSettings.model_validate(settings), host_env())


async def run(
    ground: Ground, backend: str, *, commit: str = "HEAD", found: TestEnvironment | None = None,
    spoil: Callable[[Workspace], None] | None = None, **settings: object,
) -> TestRun | None:  # fmt: skip
    """Run the planted tests through the real parts; None where no tests can be run (a sentence says why)."""
    bounds = SandboxSettings.model_validate({"backend": backend})
    choice = await choose(bounds, ground.places, host_env())
    if choice.sandbox is None:
        raise Unable(f"{backend} does not hold here: {choice.remedy}")
    found = found or await find(ground, **settings)
    if found.problem is not None:
        return None
    chosen = TestSettings.model_validate(settings)
    runner = TestRunner(
        sandbox=choice.sandbox, environment=found, places=ground.places, settings=chosen, bounds=bounds,
        heavy=asyncio.Semaphore(1),
    )  # fmt: skip
    spaces = Workspaces(Git(ground.places, host_env()), ground.places, WorkspaceSettings(memory_folder=""))
    ws = await spaces.acquire("attack", git(ground.repo, "rev-parse", commit))
    if spoil is not None:
        await asyncio.to_thread(spoil, ws)
    try:
        done = await runner.run(ws)
        if done.status in (RunStatus.TIMEOUT, RunStatus.INCONCLUSIVE):  # that proves nothing, either way
            raise Unplayed(f"{done.status}: {done.reason}\n{done.output}")
        return done
    finally:
        await spaces.release(ws)


@contextlib.contextmanager
def anything_goes() -> Iterator[None]:
    """Without the wall: nobody asks who wrote an environment, and what its files name is shown."""

    def shows(found: Interpreter, *rest: object) -> OutsideMounts:
        named = [Path(line) for line in found.linked]
        config = (found.prefix / "pyvenv.cfg").read_text() if (found.prefix / "pyvenv.cfg").is_file() else ""
        homes = [line.partition("=")[2].strip() for line in config.splitlines() if line.startswith("home")]
        named += [Path(home).parent for home in homes if not home.startswith(("/usr/", "/bin"))]
        real = outside_mounts(found, *rest)  # type: ignore[arg-type]  # handed on as it came
        own = (Mount(source=found.prefix, target=found.prefix), *real.mounts)
        return OutsideMounts((*own, *(Mount(source=folder, target=folder) for folder in named if folder.is_dir())))

    with (
        mock.patch.object(detection, "_why_untrusted", lambda *_: None),
        mock.patch.object(detection, "outside_mounts", shows),
    ):
        yield


@contextlib.contextmanager
def standing(wall: bool, without: Callable[[], contextlib.AbstractContextManager[None]]) -> Iterator[None]:
    """With the wall, or with what takes it away."""
    if wall:
        yield
    else:
        with without():
            yield
