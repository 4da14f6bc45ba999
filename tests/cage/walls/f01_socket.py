"""A tracked ``.pth`` names a folder of sockets (of a container service, of the daemon): a mount keeps them alive.

Behind the wall stands another one, which gives no unix sockets beside such a mount: both are taken away, as a control.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest import mock

from tests.cage.walls.environments import anything_goes, lay_ground, make_own, run, standing, track
from tools.sandbox import bwrap
from tools.sandbox.types import Mount

BACKENDS = ("bwrap",)  # with Landlock a socket's name is seen anyway, and no unix socket can be made


@contextlib.contextmanager
def with_sockets() -> Iterator[None]:
    """Without both; not while the back end is chosen, or it would not be taken."""
    taken = bwrap.unix_sockets_for

    def but_beside_the_probe(mounts: Iterable[Mount]) -> bool:
        wanted = tuple(mounts)
        return taken(wanted) if any(".ouro-probe" in str(mount.source) for mount in wanted) else True

    with anything_goes(), mock.patch.object(bwrap, "unix_sockets_for", but_beside_the_probe):
        yield


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    ground = lay_ground(base)
    site = make_own(ground.repo / ".venv")
    ground.plant(ground.sockets / "s")
    (site / "zz.pth").write_text(f"{ground.sockets}\n")
    track(ground, str((site / "zz.pth").relative_to(ground.repo)))
    try:
        with standing(wall, with_sockets):
            return ground.reached(await run(ground, backend))
    finally:
        ground.listener.close()
