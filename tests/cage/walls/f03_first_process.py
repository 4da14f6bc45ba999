"""A test takes over the process that watches its run: bubblewrap's own first process, or the launcher."""

from __future__ import annotations

from pathlib import Path

from tests.cage.walls.confined import box_of, told
from tests.tools.sandbox.filters import without
from tests.tools.sandbox.test_landlock_walls import WithoutLandlock
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.seccomp import NAMESPACED

TAKING = """
import ctypes, json, os
libc, pid = ctypes.CDLL(None, use_errno=True), os.getppid()
came = []
if libc.ptrace(0x4206, pid, None, None) == 0:
    came.append("traced")
for name in ("cwd", "root", "exe", *(f"fd/{number}" for number in range(16))):
    try:
        os.readlink(f"/proc/{pid}/{name}")
        came.append(name)
    except OSError:
        continue
for name in ("mem", "environ", "maps", "stack", "syscall", "auxv", "pagemap"):
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
        if name == "mem" or os.read(fd, 8):
            came.append(name)
    except OSError:
        continue
try:
    pidfd = os.pidfd_open(pid)
    if libc.syscall(438, pidfd, 0, 0) >= 0:
        came.append("its descriptors")
except OSError:
    pass
print(json.dumps(came))
"""


class Shown(Bwrap):
    def proc_steps(self) -> tuple[str, ...]:
        return ("--proc", "/proc", "--remount-ro", "/proc")

    def filter(self) -> bytes | None:
        return without(NAMESPACED, "ptrace", "pidfd_getfd")


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """What can be done with the parent of what runs inside."""
    box = box_of(base, backend) if wall else box_of(base, backend, bwrap=Shown, landlock=WithoutLandlock)
    return [str(name) for name in await told(box, base, TAKING)]
