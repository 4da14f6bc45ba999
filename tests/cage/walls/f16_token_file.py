"""The same, and it looks for the token where it lies: the state folder is hidden."""

from __future__ import annotations

from pathlib import Path

from tests.cage.walls.at_the_socket import GUARDED, ask, playing, sandbox
from tests.cage.walls.f01_control_socket import Trusting


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    async with playing(base, Trusting) as scene:
        shown = (scene.places.runtime,) if wall else (scene.places.runtime, scene.places.state)
        return await ask(scene, sandbox(scene, backend, show=shown, sockets=True), verbs=GUARDED)
