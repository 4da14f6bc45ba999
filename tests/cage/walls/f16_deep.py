"""A test makes folders in folders, far beyond the longest path: they are counted and removed all the same."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.cage.walls.confined import box_of, run
from tests.tools.sandbox.test_landlock_walls import ByAnotherLauncher
from tools.sandbox.landlock import Landlock
from tools.sandbox.launcher import remove

BACKENDS = ("landlock",)  # what is private behind bubblewrap is gone with its mount
LEVELS = 3000
DIGGING = """
import os, sys, time
top, levels, size = os.environ["TMPDIR"], int(sys.argv[1]), int(sys.argv[2])
os.mkdir(top + "/wide")
for number in range(300):
    os.makedirs(f"{top}/wide/{number}/inner", 0)
os.chdir(top)
for _ in range(levels):
    os.mkdir("d" * 40)
    os.chdir("d" * 40)
open("last", "w").close()
if size:
    with open("large", "wb") as file:
        for _ in range(size):
            file.write(bytes(1 << 20))
    time.sleep(60)
"""
RECURSIVE = """
def walk(folder, *rest):
    folder, size = folder if isinstance(folder, str) else f"/proc/self/fd/{folder}", 0
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            size += walk(entry.path)
        elif rest:
            size += entry.stat().st_size
        else:
            os.unlink(entry.path)
    return size
parts['remove'] = parts['held'] = walk
"""


class Recursive(ByAnotherLauncher):
    """The launcher with a walk that goes down by calling itself."""

    instead = RECURSIVE


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """A deep folder that is thrown away, and one that holds more than it may."""
    box = box_of(base, backend) if wall else box_of(base, backend, landlock=Recursive)
    assert isinstance(box, Landlock)
    came = []
    done = await run(box, base, DIGGING, LEVELS, 0)
    if done.code != 0:
        came.append(f"the run's own end was lost: {done.code}")
    small = type(box)(
        python=box.python, runs=box.runs, settings=box.settings.model_copy(update={"scratch_mb": 16}), hidden=box.hidden
    )
    done = await run(small, base, DIGGING, LEVELS, 64)
    if done.code != 128 + signal.SIGXFSZ:
        came.append(f"what it holds was not seen: {done.code}")
    left = list(box.runs.parent.glob(f"{box.runs.name}-*"))
    for folder in left:
        remove(str(folder))
    return came + ["folders stay"] * bool(left)
