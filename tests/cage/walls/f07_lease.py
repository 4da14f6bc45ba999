"""A test holds up whoever wants to write a file elsewhere, or watches him: leases and watches need only to read."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tests.cage.walls.confined import box_of, run
from tests.tools.sandbox.filters import without
from tests.tools.sandbox.test_landlock_walls import Changed
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.plan import RunPlan
from tools.sandbox.seccomp import NAMESPACED, SHARED
from tools.sandbox.types import Mount

HOLDING = """
import ctypes, fcntl, os, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
folder, fanotify = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGIO, signal.SIG_IGN)
took = []
for name, path, command, argument in (
    ("lease", folder + "/f", fcntl.F_SETLEASE, fcntl.F_RDLCK), ("notices", folder, 1026, 0x80000002)
):
    try:
        fcntl.fcntl(os.open(path, os.O_RDONLY), command, argument)
        took.append(name)
    except OSError:
        pass
if libc.syscall(fanotify, 0x200, 0) >= 0:
    took.append("watches")
open("took", "w").write(",".join(took))
open("ready", "w")
while not os.path.exists("go"):
    time.sleep(0.02)
"""
CALLS = ("fcntl", "fanotify_init")


class Unfiltered(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, *CALLS).hex()


class Open(Bwrap):
    def filter(self) -> bytes | None:
        return without(NAMESPACED, *CALLS)


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """While the holder runs the file is opened for writing outside."""
    box = box_of(base, backend) if wall else box_of(base, backend, bwrap=Open, landlock=Unfiltered)
    shown, work = base / "shown", base / "work"
    shown.mkdir()
    (shown / "f").touch()
    fanotify = {"x86_64": 300, "aarch64": 262}[os.uname().machine]
    mounts = (Mount(source=shown, target=shown),)
    task = asyncio.create_task(run(box, base, HOLDING, shown, fanotify, mounts=mounts))
    while not (work / "ready").exists() and not task.done():  # noqa: ASYNC110  another process
        await asyncio.sleep(0.02)
    came = []
    try:
        os.close(os.open(shown / "f", os.O_WRONLY | os.O_NONBLOCK))
    except BlockingIOError:
        came.append("a writer is held up")
    (work / "go").touch()
    done = await task
    if done.code not in (0, 128 + signal.SIGIO):
        raise RuntimeError(done.output.decode(errors="replace"))
    took = (work / "took").read_text()
    return came + [name for name in took.split(",") if name]
