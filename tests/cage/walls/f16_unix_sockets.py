"""Behind Landlock no namespace differs: code inside may open the socket's folder and knows the token, but gets no
socket to connect with."""

from __future__ import annotations

from pathlib import Path

from tests.cage.walls.at_the_socket import ask, playing, sandbox

BACKENDS = ("landlock",)


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    async with playing(base) as scene:
        box = sandbox(scene, backend, show=(scene.places.runtime,), sockets=not wall)
        return await ask(scene, box, tokens=(scene.token,))
