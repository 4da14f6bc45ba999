"""Storms: 50,000 file events in 10 s, a branch switch and a formatter touching 5,000 files, 2,000 tests that fail at once.

Run from the top of the repository: ``python -m bench.storm [--scale 1.0]``; a smaller scale is a trial, no figure. The
watcher, the bus, the queue and git are real, and files are written by another process. Prints a Markdown table: how
long the writing took and how long until all was quiet, events published, signals, ops, the event loop's lag (99th
percentile, measured every 10 ms) and how much resident memory grew.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import sensors.registry  # noqa: F401  declares the sources of signals
from bench.common import machine
from bench.intake import MANY, Ignores, _git, _places, admit, may_release
from ledger.clock import SystemClock, stamp
from ledger.places import HostEnv
from ledger.store import Ledger
from ledger.vocabulary import Frame, OpOutcome, Outcome, RootCause, TestResult
from sensors.bus import Bus, Topic
from sensors.intake.governor import GovernorSettings
from sensors.intake.ports import IntakePorts
from sensors.intake.router import IntakeRouter
from sensors.intake.settings import RouterSettings
from sensors.test_failure.signals import signals_of
from sensors.watch.watcher import Watcher, WatchSettings
from tools.git import Git

EVENTS, SECONDS, SWITCHED, RED, CAUSES = 50_000, 10.0, 5_000, 2_000, 100
FOLDERS = 50
TICK_S = 0.01


class Probe:
    """Lag of the loop and growth of the process while a storm blows."""

    def __init__(self) -> None:
        self.late: list[float] = []

    async def run(self) -> None:
        while True:
            due = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            self.late.append(max(0.0, time.perf_counter() - due))

    def p99_ms(self) -> float:
        ordered = sorted(self.late)
        return 1000 * ordered[int(0.99 * (len(ordered) - 1))] if ordered else 0.0


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


@dataclass(slots=True)
class Weather:
    """What one storm came to."""

    name: str
    blew_s: float | None = None
    took_s: float = 0.0
    published: int = 0
    signals: int = 0
    ops: int = 0
    p99_ms: float = 0.0
    grown_mb: float = 0.0

    def row(self) -> str:
        blew = f"{self.blew_s:.1f} s" if self.blew_s is not None else ""
        return (
            f"| {self.name} | {blew} | {self.took_s:.1f} s | {self.published} | {self.signals} | {self.ops} "
            f"| {self.p99_ms:.1f} ms | {self.grown_mb:.1f} MB |"
        )


async def measured(name: str, storm: Callable[[Weather], Awaitable[None]]) -> Weather:
    weather, probe, before = Weather(name), Probe(), resident_mb()
    ticking = asyncio.create_task(probe.run())
    began = time.perf_counter()
    await storm(weather)
    weather.took_s = time.perf_counter() - began
    ticking.cancel()
    await asyncio.wait({ticking})
    weather.p99_ms, weather.grown_mb = probe.p99_ms(), resident_mb() - before
    return weather


@asynccontextmanager
async def watched(base: Path, files: int) -> AsyncIterator[tuple[Path, Watcher, Bus]]:
    """A repository with so many files under the real watcher."""
    repo = base / "repo"
    for number in range(files):
        path = repo / f"src/{number % FOLDERS}/{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"x = {number}\n")
    _git(repo.parent, "init", "-q", "-b", "main", str(repo))
    _git(repo, "add", "-A")
    _git(repo, "commit", "-q", "-m", "first")
    places = _places(base, repo)
    git = Git(places, HostEnv(variables={"PATH": os.environ["PATH"]}, path=os.environ["PATH"]))
    watcher, bus = Watcher(places=places, ignore=Ignores(git), settings=WatchSettings()), Bus(clock=SystemClock())
    task = asyncio.create_task(watcher.run(bus))
    await watcher.ready.wait()
    try:
        yield repo, watcher, bus
    finally:
        task.cancel()
        await asyncio.wait({task})


def save_all(repo: Path, files: int, events: int) -> float:
    """``events`` saves, spread over the seconds of the storm; how many seconds it took.

    Files are overwritten as they are: to cut each to nothing first costs ext4 alone more than the storm's time.
    """
    began = time.perf_counter()
    for number in range(events):
        which = number % files
        file = os.open(repo / f"src/{which % FOLDERS}/{which}.py", os.O_WRONLY)
        os.write(file, f"x = {number:>8}\n".encode())
        os.close(file)
        ahead = number * SECONDS / EVENTS - (time.perf_counter() - began)
        if ahead > 0.01:
            time.sleep(ahead)
    return time.perf_counter() - began


def formatted(repo: Path, files: int) -> float:
    """Each file is written anew beside itself and put in its place, as formatters and editors do; in seconds."""
    began = time.perf_counter()
    for number in range(files):
        path = repo / f"src/{number % FOLDERS}/{number}.py"
        beside = path.with_suffix(".py.new")
        beside.write_text(f"x = {number}  # formatted\n")
        beside.replace(path)
    return time.perf_counter() - began


def switched(repo: Path) -> float:
    began = time.perf_counter()
    _git(repo, "checkout", "-q", "HEAD~1")
    return time.perf_counter() - began


async def until_quiet(bus: Bus, watcher: Watcher) -> None:
    """Return when nothing was published for two seconds."""
    seen = -1
    while seen != watcher.counts.events + bus.published:
        seen = watcher.counts.events + bus.published
        await asyncio.sleep(2)


async def file_storms(base: Path, scale: float) -> list[Weather]:
    files, events = max(FOLDERS, int(SWITCHED * scale)), int(EVENTS * scale)
    beside = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    async with watched(base, files) as (repo, watcher, bus):

        async def blown(name: str, blow: Callable[..., float], *arguments: int) -> Weather:
            await asyncio.get_running_loop().run_in_executor(beside, time.perf_counter)  # it has started

            async def storm(weather: Weather) -> None:
                before = bus.published
                async with bus.subscribe(Topic.FILES_CHANGED):
                    blowing = asyncio.get_running_loop().run_in_executor(beside, blow, repo, *arguments)
                    weather.blew_s = await blowing
                    await until_quiet(bus, watcher)
                weather.published = bus.published - before

            return await measured(name, storm)

        saves = await blown(f"{events:,} saves of {files:,} files", save_all, files, events)
        await asyncio.to_thread(_git, repo, "commit", "-q", "-a", "-m", "second")
        await until_quiet(bus, watcher)
        switch = await blown(f"a switch that touches {files:,} files", switched)
        formatter = await blown(f"a formatter over {files:,} files", formatted, files)
    beside.shutdown()
    return [saves, switch, formatter]


async def red_storm(base: Path, scale: float) -> Weather:
    """All tests fail at once, three runs long; then every op that the governor lets through is worked off."""
    tests = int(RED * scale)
    red = [
        TestResult(
            id=f"tests/test_{n % CAUSES}.py::test_{n}",
            outcome=Outcome.FAILED,
            exception="AssertionError",
            frames=(Frame(path=f"src/{n % CAUSES}.py", line=1, function="f"),),
        )
        for n in range(tests)
    ]
    ledger = await Ledger.open(base / "red.sqlite3", repo_id="0123456789ab", clock=SystemClock())
    caps = GovernorSettings(reflex_per_hour=MANY, changes_per_hour=MANY, changes_per_source=MANY)
    router = IntakeRouter(
        ledger=ledger,
        clock=SystemClock(),
        boot="bench",
        settings=RouterSettings(),
        ports=IntakePorts(admit=admit, may_release=may_release),
        caps=caps,
    )
    await router.recover()

    async def storm(weather: Weather) -> None:
        for _ in range(3):
            found = await asyncio.to_thread(
                lambda: signals_of(
                    red,
                    base="c0",
                    snapshot=None,
                    passing_before=(),
                    depth=0,
                    seen_at=stamp(SystemClock().now()),
                    redact=str,
                )
            )
            await asyncio.gather(*(router.submit(each) for each in found))
        weather.signals = router.snapshot(lines=1).counts["queued"]
        while router.snapshot(lines=1).ready:
            op = await router.next()
            weather.ops += 1
            await router.finish(op.id, OpOutcome.COMPLETE, cause=RootCause.NONE)

    weather = await measured(f"{tests:,} tests that fail at once, three times", storm)
    await ledger.close()
    return weather


async def main(scale: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = [*await file_storms(Path(folder), scale), await red_storm(Path(folder), scale)]
    print(machine() + ("" if scale == 1 else f" · scale {scale:g}: a trial") + "\n")
    print(
        "| storm | written in | quiet after | events published | signals | ops | loop lag p99 | memory grew |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for weather in found:
        print(weather.row())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="Size of the storms: 1 is the whole size.")
    asyncio.run(main(parser.parse_args().scale))
