"""Code inside reaches the control socket, and nobody looks where it lives: without the token it changes nothing and is
told nothing of the repository."""

from __future__ import annotations

from pathlib import Path

from daemon.control import connection
from tests.cage.walls.at_the_socket import GUARDED, ask, playing, sandbox
from tests.cage.walls.f01_control_socket import Trusting


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    if not wall:
        connection.needs_token = lambda method: False
    async with playing(base, Trusting) as scene:
        box = sandbox(scene, backend, show=(scene.places.runtime,), sockets=True)
        guesses = ("0" * 64, scene.places.repo_id)
        return await ask(scene, box, verbs=GUARDED, tokens=guesses if wall else ())
