"""A test reads, forges and destroys System V objects and queues of the host's processes: a number is all it takes."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from tests.cage.walls import Unable
from tests.cage.walls.confined import box_of, told
from tests.tools.sandbox.filters import without
from tests.tools.sandbox.test_landlock_walls import Changed
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.plan import RunPlan
from tools.sandbox.seccomp import SHARED
from tools.sandbox.types import Job

ACTING = """
import ctypes, json, sys
libc = ctypes.CDLL(None, use_errno=True)
queue, semaphores, segment = map(int, sys.argv[1:4])
took = ctypes.create_string_buffer(64)
said = []
if libc.msgrcv(queue, took, 32, 0, 0o4000) > 0:
    said.append("message read")
if libc.msgsnd(queue, ctypes.create_string_buffer(bytes([1, 0, 0, 0, 0, 0, 0, 0]) + b"forged"), 6, 0o4000) == 0:
    said.append("message forged")
if libc.semctl(semaphores, 0, 16, 77) == 0:
    said.append("semaphore set")
libc.shmat.restype = ctypes.c_void_p
if libc.shmat(segment, None, 0) not in (None, ctypes.c_void_p(-1).value):
    said.append("segment mapped")
for what, call in (("queue", libc.msgctl), ("segment", libc.shmctl)):
    if call(segment if what == "segment" else queue, 0, None) == 0:
        said.append(what + " destroyed")
if libc.semctl(semaphores, 0, 0, 0) == 0:
    said.append("semaphores destroyed")
try:
    if ctypes.CDLL("librt.so.1").mq_unlink(sys.argv[4].encode()) == 0:
        said.append("named queue destroyed")
except OSError:
    pass
print(json.dumps(said))
"""
CALLS = ("msgrcv", "msgsnd", "msgctl", "semctl", "shmat", "shmctl", "mq_unlink")


class Sharing(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, *CALLS).hex()


class OneNamespace(Bwrap):
    def flags(self) -> tuple[str, ...]:
        return tuple(flag for flag in super().flags() if flag != "--unshare-ipc")

    def unix_sockets(self, job: Job) -> bool:
        return False


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    box = box_of(base, backend) if wall else box_of(base, backend, bwrap=OneNamespace, landlock=Sharing)
    libc = ctypes.CDLL(None, use_errno=True)
    queue, semaphores, segment = libc.msgget(0, 0o600), libc.semget(0, 1, 0o600), libc.shmget(0, 4096, 0o600)
    if min(queue, semaphores, segment) < 0:
        raise Unable("this machine makes no System V objects")
    name = f"/ouro-{os.urandom(6).hex()}"
    rt = ctypes.CDLL("librt.so.1", use_errno=True)
    named = rt.mq_open(name.encode(), os.O_RDWR | os.O_CREAT, 0o600, None)
    libc.msgsnd(queue, ctypes.create_string_buffer(bytes([1, 0, 0, 0, 0, 0, 0, 0]) + b"secret"), 6, 0o4000)
    try:
        return [str(one) for one in await told(box, base, ACTING, queue, semaphores, segment, name)]
    finally:
        libc.msgctl(queue, 0, None)
        libc.semctl(semaphores, 0, 0, 0)
        libc.shmctl(segment, 0, None)
        if named >= 0:
            rt.mq_unlink(name.encode())
