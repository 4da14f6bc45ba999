"""A service of the owner listens in a folder that a mount shows, bound in a way that no list of sockets tells."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.cage.walls.confined import box_of, run
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.types import Job, Mount

BACKENDS = ("bwrap",)  # Landlock gives no unix sockets at all
REACHING = """
import os, pathlib, socket, sys, time
folder, work = map(pathlib.Path, sys.argv[1:])
(work / "ready").touch()
while not (work / "go").exists():
    time.sleep(0.02)
for path in folder.iterdir():
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            one = socket.socket(socket.AF_UNIX, kind)
            one.connect(str(path))
            one.send(path.name.encode())
        except OSError:
            continue
"""


class Talking(Bwrap):
    def unix_sockets(self, job: Job) -> bool:
        return True


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """Beside a folder that the owner names, and in an installation that is searched. What counts is who was reached."""
    box = box_of(base, backend) if wall else box_of(base, backend, bwrap=Talking)
    return [
        *(f"named: {way}" for way in await _reached(base / "named", box, closed=False)),
        *(f"installed: {way}" for way in await _reached(base / "installed", box, closed=True)),
    ]


async def _reached(base: Path, box: Bwrap, *, closed: bool) -> list[str]:
    folder = base / "shown"
    folder.mkdir(parents=True)
    ready, go = (base / "work" / name for name in ("ready", "go"))
    with contextlib.ExitStack() as stack:
        ends = dict(_bound(stack, base, folder))
        mounts = (Mount(source=folder, target=folder, closed=closed),)
        task = asyncio.create_task(run(box, base, REACHING, folder, base / "work", mounts=mounts))
        while not ready.exists() and not task.done():  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)
        ends["late"] = _end(stack, folder / "late")
        go.touch()
        await task
        return [way for way, end in ends.items() if _came(end)]


def _bound(stack: contextlib.ExitStack, base: Path, folder: Path) -> Iterator[tuple[str, socket.socket]]:
    yield "absolute", _end(stack, folder / "absolute")
    os.chdir(folder)
    yield "relative", _end(stack, Path("relative"))
    yield "renamed", _end(stack, folder / "before")
    os.rename(folder / "before", folder / "renamed")
    yield "linked", _end(stack, base / "elsewhere")
    os.link(base / "elsewhere", folder / "linked")
    yield "new line", _end(stack, folder / "new\nline")


def _end(stack: contextlib.ExitStack, path: Path) -> socket.socket:
    end = stack.enter_context(socket.socket(socket.AF_UNIX))
    end.setblocking(False)
    end.bind(str(path))
    end.listen(8)
    return end


def _came(end: socket.socket) -> bool:
    try:
        end.accept()[0].close()
    except BlockingIOError:
        return False
    return True
