"""A tracked ``.pth`` names a folder of sockets (of a container service, of the daemon): a mount keeps them alive.

Behind the wall stands another one, which lays nothing in the place of each socket: both are taken away for the control.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from tests.cage.walls.environments import anything_goes, lay_ground, make_own, run, standing, track
from tools.sandbox import bwrap
from tools.sandbox.sockets import covers
from tools.sandbox.tree import Placed

BACKENDS = ("bwrap",)  # with Landlock a socket's name is seen anyway, and no unix socket can be made


@contextlib.contextmanager
def nothing_covered(folder: Path) -> Iterator[None]:
    """Without both: sockets in ``folder`` stay in sight; the others do not, or the back end would not be taken."""

    def but_these(*asked: Any) -> tuple[Placed, ...]:
        return tuple(placed for placed in covers(*asked) if not placed.target.is_relative_to(folder))

    with anything_goes(), mock.patch.object(bwrap, "covers", but_these):
        yield


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    ground = lay_ground(base)
    site = make_own(ground.repo / ".venv")
    ground.plant(ground.sockets / "s")
    (site / "zz.pth").write_text(f"{ground.sockets}\n")
    track(ground, str((site / "zz.pth").relative_to(ground.repo)))
    try:
        with standing(wall, lambda: nothing_covered(ground.sockets)):
            return ground.reached(await run(ground, backend))
    finally:
        ground.listener.close()
