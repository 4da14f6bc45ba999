"""A tracked ``.pth`` names a folder of sockets (of a container service, of the daemon): a mount keeps them alive."""

from __future__ import annotations

from pathlib import Path

from tests.cage.walls.environments import anything_goes, lay_ground, make_own, run, standing, track

BACKENDS = ("bwrap",)  # with Landlock a socket's name is seen anyway, and no unix socket can be made


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    ground = lay_ground(base)
    site = make_own(ground.repo / ".venv")
    ground.plant(ground.sockets / "s")
    (site / "zz.pth").write_text(f"{ground.sockets}\n")
    track(ground, str((site / "zz.pth").relative_to(ground.repo)))
    try:
        with standing(wall, anything_goes):
            return ground.reached(await run(ground, backend))
    finally:
        ground.listener.close()
