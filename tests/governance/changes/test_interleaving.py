"""The owner acts on one file at some effect, the process ends at another, and recovery is cut short as well.

A kill is played by an error that nothing in the room catches; what it leaves on disk is what SIGKILL leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.changes.effects import Effects, rename2
from ledger.errors import OuroError
from tests.governance.changes.scene import LEDGER, MIXED, OP, TEXT, Scene, make_changes, make_scene, on_disk
from tests.governance.changes.test_apply import no_rename2
from tests.governance.changes.test_kill import MEMORY
from tests.repos import git
from tools.git import Git

PATHS = ("a.py", "pkg/b.py", "pkg/c.py", "new/deep/d.py")
OLD = {"a.py": b"a = 1\n", "pkg/b.py": b"b = 1\n", "pkg/c.py": b"c = 1\n"}
NEW = {"a.py": b"a = 2\n", "pkg/b.py": b"b = 2\n", "new/deep/d.py": b"d = 1\n"}
LAST = 70


class Killed(BaseException):
    """Ends the play where SIGKILL would."""


class Owner:
    """Acts once, when its effect comes."""

    def __init__(self, repo: Path, path: str, act: str, at: int) -> None:
        self.path = path
        self._file = repo / path
        self._act = act
        self._at = at
        self.left: bytes | None = None
        self.acted = False

    def tick(self, count: int) -> None:
        if self.acted or count != self._at or not self._file.parent.is_dir():
            return
        if self._act == "remove":
            if not self._file.exists():
                return
            self._file.unlink()
        elif self._act == "write":
            self._file.write_bytes(b"owner\n")
            self.left = b"owner\n"
        else:  # as an editor saves: a new file over the old name
            other = self._file.with_name("saved~")
            other.write_bytes(b"owner\n")
            os.replace(other, self._file)
            self.left = b"owner\n"
        self.acted = True


def playing(owner: Owner, kill_at: int, *, plain: bool, start: int = 0) -> type[Effects]:
    class Play(Effects):
        def __init__(self, tool: Git) -> None:
            super().__init__(tool, rename2=no_rename2 if plain else rename2)
            self.count = start

        def step(self, effect: str, target: str) -> None:
            self.count += 1
            owner.tick(self.count)
            if self.count == kill_at:
                raise Killed

    return Play


async def whole(scene: Scene) -> None:
    receipt = scene.changes.apply(OP, MIXED, scene.land(MIXED))
    prepared = await scene.changes.prepare(receipt, MIXED, TEXT)
    scene.changes.commit(receipt, prepared, TEXT, **LEDGER)  # type: ignore[arg-type]


def play(owner: Owner, scene: Scene, kill_at: int, again_at: int, *, plain: bool) -> None:
    _, scene.changes = make_changes(scene.places, effects=playing(owner, kill_at, plain=plain))
    with contextlib.suppress(Killed, OuroError):
        asyncio.run(whole(scene))
    _, changes = make_changes(scene.places, effects=playing(owner, again_at, plain=plain))
    try:
        changes.recover()
    except Killed:
        _, changes = make_changes(scene.places)
        changes.recover()


def check(scene: Scene, owner: Owner) -> None:
    disk = on_disk(scene.repo)
    others = [p for p in PATHS if not (owner.acted and p == owner.path)]
    now = {p: disk.get(p) for p in others}
    old, new = {p: OLD.get(p) for p in others}, {p: NEW.get(p) for p in others}
    assert now in (old, new)
    same_as_ours = owner.left == NEW.get(owner.path)  # nobody can tell whose deletion it was: it may be taken back
    if owner.acted and not (same_as_ours and disk.get(owner.path) == OLD.get(owner.path)):
        assert disk.get(owner.path) == owner.left
    ours = git(scene.repo, "log", "--author=Ouroboros", "--format=%H", "HEAD")
    assert bool(ours) == (now == new)
    scene.no_leftovers()


def one_play(path: str, act: str, owner_at: int, kill_at: int, again_at: int, *, plain: bool) -> None:
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="ouro-play-") as name:
        scene = make_scene(Path(os.path.realpath(name)))
        owner = Owner(scene.repo, path, act, owner_at)
        play(owner, scene, kill_at, again_at, plain=plain)
        check(scene, owner)


def plays(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The same property, looked at more or less long."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        given_all = given(
            path=st.sampled_from(PATHS),
            act=st.sampled_from(["write", "save", "remove"]),
            owner_at=st.integers(1, LAST),
            kill_at=st.integers(1, LAST),
            again_at=st.integers(1, 25),
            plain=st.booleans(),
        )
        return settings(deadline=None, max_examples=examples, database=None)(given_all(function))

    return decorate


@plays(25)
def test_the_owner_wins_and_the_rest_is_whole(
    path: str, act: str, owner_at: int, kill_at: int, again_at: int, plain: bool
) -> None:
    one_play(path, act, owner_at, kill_at, again_at, plain=plain)


@pytest.mark.long
@plays(600)
def test_the_owner_wins_and_the_rest_is_whole_long(
    path: str, act: str, owner_at: int, kill_at: int, again_at: int, plain: bool
) -> None:
    one_play(path, act, owner_at, kill_at, again_at, plain=plain)
