"""A test learns the names of files in a folder that it may not read: to watch one, Landlock asks for nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.cage.walls.confined import box_of, run
from tests.tools.sandbox.filters import without
from tests.tools.sandbox.test_landlock_walls import Changed
from tools.sandbox.plan import RunPlan
from tools.sandbox.seccomp import SHARED

BACKENDS = ("landlock",)  # bubblewrap does not show the folder
WATCHING = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init1(0o4000)
libc.inotify_add_watch(fd, sys.argv[1].encode(), 0xfff)
open("ready", "w")
while not os.path.exists("go"):
    time.sleep(0.02)
try:
    seen = os.read(fd, 65536)
except OSError:
    seen = b""
open("seen", "wb").write(seen)
"""


class Watching(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, "inotify_init1", "inotify_add_watch").hex()


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """A file is made outside while the watcher runs."""
    box = box_of(base, backend) if wall else box_of(base, backend, landlock=Watching)
    hidden, work = base / "hidden", base / "work"
    hidden.mkdir()
    task = asyncio.create_task(run(box, base, WATCHING, hidden))
    while not (work / "ready").exists() and not task.done():  # noqa: ASYNC110  another process
        await asyncio.sleep(0.02)
    (hidden / "name-of-a-secret").touch()
    (work / "go").touch()
    await task
    return ["a name outside"] if b"name-of-a-secret" in (work / "seen").read_bytes() else []
