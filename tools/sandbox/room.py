"""Ends a run that fills the disk or memory on which its copy of the repository is.

The kernel's limits are per file and per process, so none of them does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from ledger.tasks import wait_until_done
from tools.process import Finished
from tools.sandbox.launcher import FOLDER, LOOK_S, free_bytes, held
from tools.sandbox.limits import MIB
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job

_UNREAD = FOLDER | os.O_PATH  # code inside may forbid to read the folder


async def within_room(work: Coroutine[Any, Any, Finished], job: Job, settings: SandboxSettings) -> Finished:
    """The result of ``work``, which runs ``job``; if it has to be ended, a message and the exit code of ``SIGXFSZ``.

    The writable folders that the daemon made for this job are measured, once their disk has lost as much.
    """
    folders = [mount.source for mount in job.mounts if mount.writable and mount.ours]
    run, most, began = asyncio.ensure_future(work), settings.scratch_mb * MIB, time.monotonic()
    full = False
    try:
        room, since = await asyncio.to_thread(_room, folders), time.time()
        while not full and not (await asyncio.wait({run}, timeout=LOOK_S))[0]:
            full = await asyncio.to_thread(_is_full, folders, room, most, since)
    finally:
        run.cancel()
        if await wait_until_done(run):
            raise asyncio.CancelledError
    if not run.cancelled():
        return run.result()
    said = f"The run was ended: it wrote more than {settings.scratch_mb} MiB (sandbox.scratch_mb) to its copy.\n"
    return Finished(
        code=128 + signal.SIGXFSZ,
        signal=None,
        output=said.encode(),
        cut_bytes=0,
        timed_out=False,
        flooded=False,
        duration_ms=round((time.monotonic() - began) * 1000),
    )


def _room(folders: Sequence[Path]) -> list[int]:
    """The bytes that are free where each folder lies; 0 for one that is not there."""
    free = []
    for folder in folders:
        try:
            fd = os.open(folder, _UNREAD)
        except OSError:
            free.append(0)
            continue
        free.append(free_bytes(fd))
        os.close(fd)
    return free


def _is_full(folders: Sequence[Path], room: Sequence[int], most: int, since: float) -> bool:
    for folder, before, now in zip(folders, room, _room(folders), strict=True):
        if before - now <= most:
            continue
        try:
            fd = os.open(folder, FOLDER)
        except OSError:  # it cannot be counted
            return True
        try:
            if held(fd, most, since) > most:
                return True
        finally:
            os.close(fd)
    return False
