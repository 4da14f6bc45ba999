"""Small tools of the sandbox tests."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tools.sandbox.bwrap import Bwrap
from tools.sandbox.landlock import Landlock
from tools.sandbox.types import Job, Mount

Box = Bwrap | Landlock


def shell(work: Path, script: str, *mounts: Mount, timeout_s: float = 20, **more: object) -> Job:
    """``script`` in the writable ``work``, seen at its own path."""
    own = Mount(source=work, target=work, writable=True, closed=True)
    options = {"cwd": work, "timeout_s": timeout_s, "mounts": (own, *mounts), **more}
    return Job(argv=("sh", "-c", script), **options)  # type: ignore[arg-type]  # a dict of keyword options


def running(token: str) -> list[int]:
    """Living processes of this machine that have ``token`` in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if token.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def soon_gone(token: str, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while running(token):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def deep(folder: Path, levels: int) -> None:
    """Folders in one another, a file in the last one, and folders that may not be entered."""
    here = os.getcwd()
    os.chdir(folder)
    try:
        for level in range(levels):
            os.mkdir("d" * 50)
            if level < 50:
                os.makedirs(f"{level}/inner", 0)
            os.chdir("d" * 50)
        Path("last").write_bytes(bytes(1 << 20))
    finally:
        os.chdir(here)
