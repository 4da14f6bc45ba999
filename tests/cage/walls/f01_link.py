"""The repository brings the environment: ``.venv`` is a tracked link to a tracked folder named like git's own magic."""

from __future__ import annotations

from pathlib import Path

from tests.cage.walls.environments import anything_goes, lay_ground, make_own, run, standing, track

BEFORE_THE_SANDBOX = True
NAMES = (":", ":(attr:x)", ":!x", "-c", "new\nline", "*", ":(top)")


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    through: set[str] = set()
    for number, name in enumerate(NAMES):
        (base / str(number)).mkdir()
        ground = lay_ground(base / str(number))
        ground.plant(ground.key)
        site = make_own(ground.repo / "plain")
        (site / "zz.pth").write_text(f"{ground.key.parent}\n")
        (ground.repo / "plain").rename(ground.repo / name)
        (ground.repo / ".venv").symlink_to(name)
        track(ground, ".venv", ".")
        with standing(wall, anything_goes):
            through |= {f"{what}, by {name!r}" for what in ground.reached(await run(ground, backend))}
        if through:
            break
    return sorted(through)
