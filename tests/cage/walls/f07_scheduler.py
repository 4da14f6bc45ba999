"""A test gives processes outside another scheduler, priority, set of CPUs or limits: they get no time any more."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path

from tests.cage.walls.confined import box_of, run
from tests.tools.sandbox.filters import without
from tests.tools.sandbox.test_bwrap_walls import WithoutProcessNamespace
from tests.tools.sandbox.test_landlock_walls import Changed
from tools.sandbox.bait import VICTIM_PROGRAM
from tools.sandbox.calls import number
from tools.sandbox.plan import RunPlan
from tools.sandbox.seccomp import NAMESPACED, SHARED

CALLS = ("sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity", "setpriority", "ioprio_set")
STARVING = """
import ctypes, os, resource, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
pid, ordinary, *numbers = map(int, sys.argv[1:])
setscheduler, setparam, setattr_, setaffinity, setpriority, ioprio_set = numbers
idle = struct.pack("=IIQiIQQQ", 48, 5, 0, 0, 0, 0, 0, 0)
libc.syscall(setscheduler, pid, 5, bytes(4))
libc.syscall(setparam, pid, bytes(4))
libc.syscall(setattr_, pid, idle, 0)
libc.syscall(setaffinity, pid, 8, (1).to_bytes(8, sys.byteorder))
libc.syscall(setpriority, 0, pid, 19)
libc.syscall(ioprio_set, 1, pid, 3 << 13)
if ordinary:  # all processes of the user; of root's there are too many to try it on them
    libc.syscall(setpriority, 2, 0, 7)
    libc.syscall(ioprio_set, 3, 0, 3 << 13)
try:
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (9, 9))
except OSError:
    pass
"""


class Unfiltered(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, *CALLS, "prlimit64").hex()


class Seen(WithoutProcessNamespace):
    def filter(self) -> bytes | None:
        return without(NAMESPACED, *CALLS, "prlimit64")


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """The victim has no privileges: root's processes that have some are kept from others by the kernel anyway."""
    box = box_of(base, backend) if wall else box_of(base, backend, bwrap=Seen, landlock=Unfiltered)
    machine = os.uname().machine
    numbers = [number(call, machine) for call in CALLS]
    with subprocess.Popen(  # noqa: ASYNC220  a victim, which only waits
        [sys.executable, "-I", "-S", "-c", VICTIM_PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as victim:
        assert victim.stdout is not None
        victim.stdout.read(1)
        try:
            before = _state(victim.pid)
            await run(box, base, STARVING, victim.pid, int(os.geteuid() != 0), *numbers)
            after = _state(victim.pid)
        finally:
            victim.kill()
    return [name for name, value in after.items() if value != before[name]]


def _state(pid: int) -> dict[str, object]:
    get = {"x86_64": 252, "aarch64": 31}[os.uname().machine]
    return {
        "scheduler": os.sched_getscheduler(pid),
        "priority": os.getpriority(os.PRIO_PROCESS, pid),
        "CPUs": os.sched_getaffinity(pid),
        "priority at the disk": ctypes.CDLL(None).syscall(get, 1, pid),
        "limit": resource.prlimit(pid, resource.RLIMIT_NOFILE),
    }
