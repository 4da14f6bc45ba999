"""What the walls cost: a sandboxed ``true`` beside a bare one, and a sandboxed run of pytest beside a bare one.

Run ``python -m bench.sandbox [rounds]``; prints two markdown tables. Bare and sandboxed runs of pytest take turns, so
that whatever else the machine does meets both.
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
from ledger.programs import find_program
from tools.process import Command, run
from tools.sandbox.choice import candidates, choose
from tools.sandbox.probe import interpreter
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job, Mount

ROUNDS = 50
SUITE_ROUNDS = 7
MEMORY = Path("/dev/shm")
TESTS = """\
import pytest

@pytest.mark.parametrize("number", range(400))
def test_work(number, tmp_path):
    (tmp_path / "file").write_text(str(sum(n * n for n in range(30_000))))
    assert (tmp_path / "file").read_text()
"""
"""A suite of a few seconds: collection, computing, and files in /tmp."""


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


async def suites(settings: SandboxSettings, places: Places, env: HostEnv, rounds: int, tmp: Path) -> None:
    """The same suite bare and behind each back end that works here. ``tmp``: in memory, as it is inside."""
    work = places.repo
    (work / "test_work.py").write_text(TESTS, encoding="utf-8")
    argv = (sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    variables = {"PATH": env.path, "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8", "TMPDIR": str(tmp)}
    bare = Command(argv=argv, cwd=work, env=variables, timeout_s=300)
    prefix = Path(sys.prefix)
    mounts = (*interpreter()[1], Mount(source=prefix, target=prefix), Mount(source=work, target=work, writable=True))
    job = Job(argv=argv, cwd=work, mounts=mounts, timeout_s=300)
    boxes = {name: box for name, box in candidates(settings, places, env) if not isinstance(box, str)}
    taken: dict[str, list[float]] = {name: [] for name in ("bare", *boxes)}
    runs = {"bare": lambda: run(bare), **{name: partial(box.run, job) for name, box in boxes.items()}}
    for _ in range(rounds):
        for name, action in runs.items():
            begun = time.perf_counter()
            finished = await action()
            taken[name].append((time.perf_counter() - begun) * 1000)
            if finished.code != 0:
                raise SystemExit(f"{name}: {finished.output.decode(errors='replace')[-2000:]}")
    print("\n| 400 tests of pytest | median ms | ratio |\n|---|---|---|")
    for name, times in taken.items():
        ratio = statistics.median(t / b for t, b in zip(times, taken["bare"], strict=True))
        print(f"| {name} | {statistics.median(times):.0f} | {ratio:.2f} |")


async def main(rounds: int) -> None:
    """Measure every back end of this machine, and the probe that chooses one."""
    settings, env = SandboxSettings(), HostEnv(variables={}, path=os.environ.get("PATH", os.defpath))
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder).resolve()
        places = places_in(base)
        work = places.repo
        job = Job(argv=("true",), cwd=work, mounts=(Mount(source=work, target=work, writable=True),), timeout_s=30)
        bare = Command(argv=(str(find_program("true", env)),), cwd=work, env={"PATH": env.path}, timeout_s=30)
        print("| `true` | median ms | p90 ms |\n|---|---|---|")
        print(row("bare", await timed(lambda: run(bare), rounds)))
        for name, box in candidates(settings, places, env):
            if isinstance(box, str):
                print(f"| {name} | {box} | |")
                continue
            print(row(name, await timed(partial(box.run, job), rounds)))
        print(row("choosing (all attacks)", await timed(lambda: choose(settings, places, env), max(2, rounds // 5))))
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as tmp:
            await suites(settings, places, env, min(rounds, SUITE_ROUNDS), Path(tmp))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
