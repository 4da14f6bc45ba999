"""Code inside sees the control socket and knows the token: that it lives in other namespaces gives it away.

Landlock makes no namespaces: there the system-call filter is this wall (``f16_unix_sockets``).
"""

from __future__ import annotations

from pathlib import Path

from daemon.control.server import ControlServer
from tests.cage.walls.at_the_socket import ask, playing, sandbox
from tests.cage.walls.f01_control_socket import Trusting

BACKENDS = ("bwrap",)


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    async with playing(base, ControlServer if wall else Trusting) as scene:
        box = sandbox(scene, backend, show=(scene.places.runtime,))
        return await ask(scene, box, tokens=(scene.token,))
