"""A pulled commit adds a development install of the old kind: ``easy-install.pth``, an egg-link and an import hook."""

from __future__ import annotations

from pathlib import Path

from tests.cage.walls.environments import anything_goes, lay_ground, make_own, run, standing, track

BEFORE_THE_SANDBOX = True


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    ground = lay_ground(base)
    site = make_own(ground.repo / ".venv")
    outside = ground.key.parent
    ground.plant(ground.key)
    files = {
        "easy-install.pth": f"{outside}\n",
        "evil.egg-link": f"{outside}\n.\n",
        "__editable___evil_finder.py": f"MAPPING = {{'evil': {str(outside)!r}}}\n",
    }
    for name, text in files.items():
        (site / name).write_text(text)
    track(ground, *(str((site / name).relative_to(ground.repo)) for name in files))
    with standing(wall, anything_goes):
        return ground.reached(await run(ground, backend))
