"""A tracked ``.pth`` names a folder of sockets (of a container service, of the daemon): a mount keeps them alive.

Behind the wall stands another one, which lays nothing in the place of each socket: both are taken away for the control.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.cage.walls.environments import anything_goes, lay_ground, make_own, run, standing, track
from tools.sandbox import bwrap

BACKENDS = ("bwrap",)  # with Landlock a socket's name is seen anyway, and no unix socket can be made


@contextlib.contextmanager
def nothing_covered() -> Iterator[None]:
    with anything_goes(), mock.patch.object(bwrap, "covers", lambda *_: ()):
        yield


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    ground = lay_ground(base)
    site = make_own(ground.repo / ".venv")
    ground.plant(ground.sockets / "s")
    (site / "zz.pth").write_text(f"{ground.sockets}\n")
    track(ground, str((site / "zz.pth").relative_to(ground.repo)))
    try:
        with standing(wall, nothing_covered):
            return ground.reached(await run(ground, backend))
    finally:
        ground.listener.close()
