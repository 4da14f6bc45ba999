"""A test sets flags on a file that it may only read: ``chattr`` needs no more than a descriptor that reads."""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import replace
from pathlib import Path

from tests.cage.walls import Unable
from tests.cage.walls.confined import box_of, run
from tests.tools.sandbox.filters import without
from tests.tools.sandbox.test_landlock_walls import Changed
from tools.process import Finished
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.plan import RunPlan
from tools.sandbox.seccomp import NAMESPACED, SHARED
from tools.sandbox.types import Job, Mount

GETFLAGS, SETFLAGS, NODUMP = 0x80086601, 0x40086602, 0x40
MARKING = """
import ctypes, fcntl, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
folder = sys.argv[1]
def tries(path, command, data):
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, command, data)
    except OSError:
        libc.ioctl(fd, ctypes.c_ulong(command | 1 << 32), data)
    os.close(fd)
tries(folder + "/set", 0x40086602, (0x40).to_bytes(8, sys.byteorder))
tries(folder + "/short", 0x40046602, (0x40).to_bytes(8, sys.byteorder))
tries(folder + "/extended", 0x401C5820, struct.pack("=IIIII8x", 0x80, 0, 0, 0, 0))
libc.syscall(469, -100, (folder + "/call").encode(), struct.pack("=QIIII", 0x80, 0, 0, 0, 0), 24, 0)
tries(folder, 0x40086602, (0x40).to_bytes(8, sys.byteorder))
"""
FILES = ("set", "short", "extended", "call", ".")


class Unfiltered(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, "ioctl", "file_setattr").hex()


class Writable(Bwrap):
    """A mount that may only be read keeps its flags, too: it is the second wall there."""

    async def run(self, job: Job) -> Finished:
        return await super().run(replace(job, mounts=tuple(replace(m, writable=True) for m in job.mounts)))

    def filter(self) -> bytes | None:
        return without(NAMESPACED, "ioctl", "file_setattr")


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """By both sizes of the old command, by the newer one, by the system call; of files and of their folder."""
    box = box_of(base, backend) if wall else box_of(base, backend, bwrap=Writable, landlock=Unfiltered)
    shown = base / "shown"
    shown.mkdir()
    for name in FILES[:-1]:
        (shown / name).touch()
    _able(base)
    await run(box, base, MARKING, shown, mounts=(Mount(source=shown, target=shown),))
    return [name for name in FILES if _flags(shown / name) & NODUMP]


def _able(base: Path) -> None:
    probe = base / "probe"
    probe.touch()
    fd = os.open(probe, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, SETFLAGS, struct.pack("=q", NODUMP))
    except OSError as error:
        raise Unable(f"the file system of {str(base)!r} knows no flags ({error.strerror})") from None
    finally:
        os.close(fd)


def _flags(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY)
    try:
        return int.from_bytes(fcntl.ioctl(fd, GETFLAGS, bytes(8)), "little")
    finally:
        os.close(fd)
