"""A pulled commit changes the ``home`` of the owner's environment: to a folder of his that looks like a Python."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cage.walls.environments import anything_goes, lay_ground, make_own, run, standing, track

BEFORE_THE_SANDBOX = True
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    ground = lay_ground(base)
    make_own(ground.repo / ".venv")
    conda = ground.places.home / "conda"
    (conda / "bin").mkdir(parents=True)
    (conda / "lib" / VERSION).mkdir(parents=True)
    (conda / "lib" / VERSION / "os.py").touch()
    (conda / ".condarc").write_text(ground.word)
    ground.plant(conda / ".condarc")
    config = ground.repo / ".venv/pyvenv.cfg"
    lines = [line for line in config.read_text().splitlines() if not line.startswith("home")]
    config.write_text("\n".join([f"home = {Path(sys.base_prefix)}/bin", *lines, f"home = {conda}/bin", ""]))
    track(ground, ".venv/pyvenv.cfg")
    with standing(wall, anything_goes):
        return ground.reached(await run(ground, backend))
