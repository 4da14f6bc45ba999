"""A test replaces a folder of its copy by a link and hangs; the second run of the same copy lays links through it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.cage.walls.environments import lay_ground, make_own, run, standing
from tests.repos import commit
from tools import contained

BACKENDS = ("landlock",)  # bubblewrap mounts, and links are laid for nobody

TEST = """
import os, time

def test_replaces():
    os.rename("shop", "moved")
    os.symlink({outside!r}, "shop")
    time.sleep(60)

def test_next():
    pass
"""


@contextlib.contextmanager
def follows() -> Iterator[None]:
    """Without the wall: a link is laid wherever the path leads."""

    def lay(root: Path, path: str, target: Path) -> None:
        if (root / path).parent.is_dir() and not (root / path).exists():
            (root / path).symlink_to(target)

    with mock.patch.object(contained, "lay_link", lay):
        yield


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    ground = lay_ground(base)
    make_own(ground.repo / ".venv")
    outside = base / "outside"
    outside.mkdir()
    (ground.repo / "shop/_version.py").write_text("version = 1\n")
    commit(ground.repo, "A test", {"tests/test_trap.py": TEST.replace("{outside!r}", repr(str(outside)))})
    with standing(wall, follows):
        done = await run(ground, backend, test_s=2)
    through = sorted(os.listdir(outside))
    if wall and done is not None and "a link in the way" not in done.reason:
        through.append(f"no word of it: {done.reason}")
    return through
