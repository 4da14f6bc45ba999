"""A test reaches a unix socket of the host: in a folder that it may read, by an abstract name, by one of a pair."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from tests.cage.walls.confined import box_of, run
from tests.tools.sandbox.filters import letting
from tests.tools.sandbox.test_landlock_walls import WithAbstractSockets
from tools.sandbox import bwrap, landlock
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.types import Job, Mount

REACHING = """
import socket, sys
kinds = {"stream": socket.SOCK_STREAM, "packets": socket.SOCK_SEQPACKET, "datagrams": socket.SOCK_DGRAM}
for name in sys.argv[1:]:
    for kind in (*kinds.values(), socket.SOCK_RAW):
        for make in (lambda: socket.socket(socket.AF_UNIX, kind), lambda: socket.socketpair(socket.AF_UNIX, kind)[0]):
            try:
                one = make()
                one.connect(name.replace("@", chr(0)))
                one.send(b"x")
            except OSError:
                continue
"""
KINDS = {"stream": socket.SOCK_STREAM, "packets": socket.SOCK_SEQPACKET, "datagrams": socket.SOCK_DGRAM}


class Uncovered(Bwrap):
    def unix_sockets(self, job: Job) -> bool:
        return True


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """With and without the network. What counts is what comes out at the other end."""
    if not wall:
        bwrap.NETWORKED = letting(bwrap.NETWORKED, "socket", "socketpair")  # type: ignore[misc]  # taken away
        landlock.SHARED_NETWORKED = letting(landlock.SHARED_NETWORKED, "socket", "socketpair")  # type: ignore[misc]
    box = box_of(base, backend) if wall else box_of(base, backend, bwrap=Uncovered, landlock=WithAbstractSockets)
    shown = base / "shown"
    shown.mkdir()
    name = f"ouro-{os.urandom(6).hex()}"
    came = []
    with contextlib.ExitStack() as stack:
        ends = {}
        for kind, number in KINDS.items():
            ends[f"path, {kind}"] = _end(stack, str(shown / kind), number)
            ends[f"abstract, {kind}"] = _end(stack, f"\0{name}{kind}", number)
        names = [path for kind in KINDS for path in (str(shown / kind), f"@{name}{kind}")]
        for network in (False, True):
            await run(box, base, REACHING, *names, mounts=(Mount(source=shown, target=shown),), network=network)
            came += [f"{way}{', with network' if network else ''}" for way, end in ends.items() if _came(end)]
    return came


def _end(stack: contextlib.ExitStack, name: str, kind: int) -> socket.socket:
    end = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
    end.setblocking(False)
    end.bind(name)
    if kind != socket.SOCK_DGRAM:
        end.listen(8)
    return end


def _came(end: socket.socket) -> bool:
    found = False
    while True:
        try:
            if end.type == socket.SOCK_DGRAM:
                end.recv(16)
            else:
                end.accept()[0].close()
            found = True
        except BlockingIOError:
            return found
