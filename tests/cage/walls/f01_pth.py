"""A pulled commit adds one ``.pth`` to the owner's own, ignored environment: it names his key and the daemon's."""

from __future__ import annotations

from pathlib import Path

from tests.cage.walls.environments import anything_goes, lay_ground, make_own, run, standing, track

BEFORE_THE_SANDBOX = True


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    ground = lay_ground(base)
    site = make_own(ground.repo / ".venv")
    ground.plant(ground.key)
    (site / "zz.pth").write_text(f"{ground.key.parent}\n")
    track(ground, str((site / "zz.pth").relative_to(ground.repo)))
    with standing(wall, anything_goes):
        return ground.reached(await run(ground, backend))
