"""Code inside asks the control socket of a running daemon for everything, an approval above all.

The walls are taken away one by one. Without the mount wall (bubblewrap) the socket is seen, and its namespaces give the
client away; without the wall of system calls (Landlock) it is reached, and the token is missing.
"""

from __future__ import annotations

import socket
from pathlib import Path

from daemon.control import connection
from daemon.control.peers import Namespaces, own_namespaces
from daemon.control.server import ControlServer
from tests.cage.walls.at_the_socket import EVERY, GUARDED, ask, playing, sandbox


class Trusting(ControlServer):
    """Does not look where its peers live."""

    def peer_namespaces(self, channel: socket.socket) -> Namespaces | None:
        return own_namespaces()


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    if not wall:
        connection.needs_token = lambda method: False
    async with playing(base, ControlServer if wall else Trusting) as scene:
        shown = (scene.places.runtime,)
        if not wall:
            return await ask(scene, sandbox(scene, backend, show=shown, sockets=True))
        through = [f"as it is: {one}" for one in await ask(scene, sandbox(scene, backend))]
        through += [f"folder shown: {one}" for one in await ask(scene, sandbox(scene, backend, show=shown))]
        # where no namespace differs, the token is the only wall left: who may know how the daemon is needs none
        verbs = EVERY if backend == "bwrap" else GUARDED
        reached = sandbox(scene, backend, show=shown, sockets=True)
        return through + [f"socket reached: {one}" for one in await ask(scene, reached, verbs=verbs)]
