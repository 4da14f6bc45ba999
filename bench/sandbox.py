"""What a sandboxed command costs beside a bare one: median and 90th percentile of the wall time of ``true``.

Run ``python -m bench.sandbox [rounds]``; prints a markdown table.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from ledger.places import HostEnv, Places
from tools.process import Command, run
from tools.sandbox.choice import candidates, choose
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job, Mount

ROUNDS = 50


def places_in(base: Path) -> Places:
    """Folders of a daemon that does not exist."""
    folders = {name: base / name for name in ("repo", "state", "cache", "config", "runtime", "home")}
    for folder in folders.values():
        folder.mkdir(mode=0o700)
    return Places(git_dir=base / "repo", common_dir=base / "repo", repo_id="bench", **folders)


async def timed(action: Callable[[], Awaitable[object]], rounds: int) -> list[float]:
    """Milliseconds of each round, after one that is not counted."""
    await action()
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        await action()
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


def row(name: str, taken: list[float]) -> str:
    """One line of the table."""
    return f"| {name} | {statistics.median(taken):.1f} | {statistics.quantiles(taken, n=10)[-1]:.1f} |"


async def main(rounds: int) -> None:
    """Measure every back end of this machine, and the probe that chooses one."""
    settings, env = SandboxSettings(), HostEnv(variables={}, path=os.environ.get("PATH", os.defpath))
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder).resolve()
        places = places_in(base)
        work = places.repo
        job = Job(argv=("true",), cwd=work, mounts=(Mount(source=work, target=work, writable=True),), timeout_s=30)
        bare = Command(argv=("true",), cwd=work, env={"PATH": env.path}, timeout_s=30)
        print("| `true` | median ms | p90 ms |\n|---|---|---|")
        print(row("bare", await timed(lambda: run(bare), rounds)))
        for name, box in candidates(settings, places, env):
            if isinstance(box, str):
                print(f"| {name} | {box} | |")
                continue
            print(row(name, await timed(partial(box.run, job), rounds)))
        print(row("choosing (all attacks)", await timed(lambda: choose(settings, places, env), max(2, rounds // 5))))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
