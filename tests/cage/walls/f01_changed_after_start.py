"""The daemon has found the owner's environment; then a pull turns what it shows into links that lead outside."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.cage.walls.environments import find, lay_ground, make_own, run, standing, track
from tests.repos import git
from tools.testing.environment.detection import TestEnvironment

BEFORE_THE_SANDBOX = True


@contextlib.contextmanager
def asked_once() -> Iterator[None]:
    """Without the wall: what was found at the start is believed for ever."""
    with mock.patch.object(TestEnvironment, "trouble", lambda self: self.problem):
        yield


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    through = []
    for way in (generated_file, whole_environment):
        (base / way.__name__).mkdir()
        through += [f"{what}, by a {way.__name__}" for what in await way(base / way.__name__, backend, wall)]
    return through


async def generated_file(base: Path, backend: str, wall: bool) -> list[str]:
    """What tests need of the ignored files becomes a tracked link; the copy is of the commit before."""
    ground = lay_ground(base)
    make_own(ground.repo / ".venv")
    (ground.repo / "shop/_version.py").write_text("version = 1\n")
    found = await find(ground)
    ground.plant(Path("shop/_version.py"))
    before = git(ground.repo, "rev-parse", "HEAD")
    (ground.repo / "shop/_version.py").unlink()
    (ground.repo / "shop/_version.py").symlink_to(ground.key)
    track(ground, "shop/_version.py")
    with standing(wall, asked_once):
        return ground.reached(await run(ground, backend, commit=before, found=found))


async def whole_environment(base: Path, backend: str, wall: bool) -> list[str]:
    """``.venv`` becomes a link to another environment of the owner's, that of his private project."""
    ground = lay_ground(base)
    make_own(ground.repo / ".venv")
    other = ground.places.home / "private"
    make_own(other)
    (other / "token").write_text(ground.word)
    found = await find(ground)
    ground.plant(ground.repo / ".venv/token", other / "token")
    before = git(ground.repo, "rev-parse", "HEAD")
    shutil.rmtree(ground.repo / ".venv")
    (ground.repo / ".venv").symlink_to(other)
    track(ground, ".venv")
    with standing(wall, asked_once):
        return ground.reached(await run(ground, backend, commit=before, found=found))
