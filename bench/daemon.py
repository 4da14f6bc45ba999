"""Figures of the whole daemon on a fresh sample repository with a scripted model.

Run from the top of the repository: ``python -m bench.daemon [start rest commit overhead status]`` (default: all).
Prints a Markdown table. `bench/README.md` says how each figure is computed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.common import World, machine, median_ms, world
from daemon.control.client import Client
from daemon.control.messages import EventsRequest, FixRequest
from daemon.lifecycle.one_boot import work_off
from daemon.lifecycle.service import Service
from daemon.settings.bounds import ControlSettings
from daemon.settings.config import load
from ledger.clock import SystemClock, unstamp
from ledger.vocabulary import Entry, TestRun
from sample.build import git
from sensors.test_failure import SPEC as TEST_FAILURE
from tools.testing.runner import TestRunner, WarmTests
from tools.workspace import Workspace

STARTS, STATUSES, COMMITS, OPS = 7, 7, 5, 6
SETTLE_S, REST_S, SLICE_S, QUIET_S, LIMIT_S, POLL_S = 10.0, 60.0, 0.5, 5.0, 60.0, 0.005
MANY_FILES, FOLDERS = 50_000, 500
BUG = 6  # one cause, one op, one answer; the search's own repair, which lands with nobody there
BARE = "import asyncio, sqlite3, pydantic, watchdog, time; time.sleep(60)"
Row = tuple[str, str, str]
Span = tuple[float, float]


# --- start and status -----------------------------------------------------------------------------------------------


def answered(path: Path, began: float) -> float:
    """Seconds from ``began`` until `status` is answered on the socket."""
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "status", "params": {}}).encode() + b"\n"
    while time.perf_counter() - began < LIMIT_S:
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(POLL_S)
                continue
            line.sendall(request)
            answer = json.loads(line.makefile().readline())
            assert "result" in answer, answer
            return time.perf_counter() - began
    raise SystemExit(f"No answer at {path} within {LIMIT_S:.0f} s.")


async def ready(at: World) -> None:
    """Wait until the daemon has brought up what it has."""
    async with (
        await Client.connect(at.places.socket, ControlSettings(), token=at.places.token) as client,
        asyncio.timeout(LIMIT_S),
    ):
        async for event in client.events(EventsRequest(after=0)):
            if event.entry is not None and event.entry.payload.get("event") == "session.ready":
                return


def start() -> list[Row]:
    took = []
    with world() as at:
        path = at.places.socket
        for _ in range(STARTS):
            began = time.perf_counter()
            with at.daemon():
                took.append(answered(path, began))
    bare = wall([sys.executable, "-c", "import asyncio, sqlite3, pydantic.main"], dict(os.environ))
    beside = f"{bare}: bare Python that imports asyncio, sqlite3, pydantic"
    return [("start of the process to an answered `status`", median_ms(took), beside)]


def wall(argv: Sequence[str], environ: dict[str, str], cwd: Path | None = None) -> str:
    took = []
    for _ in range(STATUSES):
        began = time.perf_counter()
        subprocess.run(argv, env=environ, cwd=cwd, capture_output=True, check=False)
        took.append(time.perf_counter() - began)
    return median_ms(took)


def status() -> list[Row]:
    with world() as at, at.daemon():
        answered(at.places.socket, time.perf_counter())
        asyncio.run(ready(at))
        time.sleep(2)  # its first look at the tests is over
        ours = wall(at.argv("status"), at.environ)
        bare = wall([sys.executable, "-c", "import asyncio, pydantic.main, typer"], at.environ)
    return [("`ouro status`, the whole command", ours, f"{bare}: bare Python that imports the same libraries")]


# --- at rest --------------------------------------------------------------------------------------------------------


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wakeups(pid: int) -> int:
    """Voluntary switches of all threads: how often one of them went to sleep again."""
    return sum(
        int(line.split()[1])
        for file in Path(f"/proc/{pid}/task").glob("*/status")
        for line in file.read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


def at_rest(files: int) -> tuple[float, float, str]:
    """Resident MB and share of a core of a daemon whose repository has so many files more, and when it was woken."""
    with world() as at:
        for number in range(files):
            path = at.repo / f"many/{number % FOLDERS}/{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{number}\n")
        if files:
            git(at.repo, "add", "many")
            git(at.repo, "commit", "-q", "-m", "Many files")
        with at.daemon() as child:
            answered(at.places.socket, time.perf_counter())
            asyncio.run(ready(at))
            time.sleep(SETTLE_S if not files else 3 * SETTLE_S)
            before, counts = cpu_s(child.pid), [wakeups(child.pid)]
            for _ in range(round(REST_S / SLICE_S)):
                time.sleep(SLICE_S)
                counts.append(wakeups(child.pid))
            share = (cpu_s(child.pid) - before) / REST_S
            times = sum(one != two for one, two in pairwise(counts))  # one look at the machine is several switches
            told = f"woken {times} times in {REST_S:.0f} s ({counts[-1] - counts[0]} switches)"
            return resident_mb(child.pid), share, told


def rest() -> list[Row]:
    rows: list[Row] = []
    for files in (0, MANY_FILES):
        memory, share, woken = at_rest(files)
        where = f", {files:,} files" if files else ""
        rows.append((f"resident memory at rest, no model loaded{where}", f"{memory:.1f} MB", ""))
        rows.append((f"share of a core at rest{where}", f"{share:.2%}", woken))
    with subprocess.Popen([sys.executable, "-c", BARE]) as bare:
        time.sleep(3)
        rows[0] = (*rows[0][:2], f"{resident_mb(bare.pid):.1f} MB: bare Python, same libraries")
        bare.terminate()
    return rows


# --- from a commit to a queued signal -------------------------------------------------------------------------------


def moment(entry: Entry) -> float:
    return unstamp(entry.at).timestamp()


async def queued(entries: AsyncIterator[Entry], committed: str, began: float) -> tuple[float, float]:
    """When the signal about ``committed`` was in the queue, and the seconds of the test runs since ``began``."""
    tests = 0.0
    async for entry in entries:
        if entry.payload.get("event") == "run" and moment(entry) > began:
            tests += entry.payload["duration_ms"] / 1000
        if any(item["signal"]["base"] == committed for item in entry.payload.get("new", ())):
            return moment(entry), tests
    raise SystemExit("The daemon went away.")


async def commits(at: World) -> tuple[list[float], list[float]]:
    """Seconds from the end of `git commit` to the queued signal, whole and without test time; the op then ends."""
    whole, beyond = [], []
    await ready(at)
    async with (
        await Client.connect(at.places.socket, ControlSettings(), token=at.places.token) as client,
        asyncio.timeout(10 * LIMIT_S),
    ):
        first = (event.entry async for event in client.events(EventsRequest(after=0)))
        entries = (entry async for entry in first if entry is not None)
        await until(entries, "known")  # its first look at the tests is over
        for _ in range(COMMITS):
            commit = await asyncio.to_thread(at.break_it, BUG)
            began = time.time()
            then, tests = await queued(entries, commit, began)
            whole.append(then - began)
            beyond.append(then - began - tests)
            await until(entries, "terminal")
            await asyncio.sleep(QUIET_S)  # it looks at its own commit, too
    return whole, beyond


async def until(entries: AsyncIterator[Entry], event: str) -> None:
    async for entry in entries:
        if entry.payload.get("event") == event:
            return


def commit() -> list[Row]:
    with world(approval__notify_delay_s=0) as at:
        settings = load(at.repo, at.environ).settings
        with at.daemon():
            answered(at.places.socket, time.perf_counter())
            whole, beyond = asyncio.run(commits(at))
        suite = wall([str(at.repo / ".venv/bin/python"), "-m", "pytest", "-q"], at.environ, at.repo)
    waits = settings.watch.debounce_s + TEST_FAILURE.settings_in(settings).debounce_s
    rest = [seconds - waits for seconds in beyond]
    return [
        ("commit to queued signal, all in all", median_ms(whole), f"{suite}: `pytest -q` by hand"),
        (f"the same beyond {waits * 1000:.0f} ms of debounce and its test runs", median_ms(rest), ""),
    ]


# --- overhead of the eleven phases ----------------------------------------------------------------------------------


def timing(verdicts: list[Span], search: list[Span]) -> type[TestRunner]:
    """The real runner; notes when each run began and ended, sandbox and all: for a verdict, or for the search."""

    class TimedTests(WarmTests):
        def __init__(self, tests: WarmTests, spans: list[Span]) -> None:
            vars(self).update(vars(tests))
            self._spans = spans

        async def run(self, *args: Any, **named: Any) -> TestRun:
            with noted(self._spans):
                return await super().run(*args, **named)

        async def screen(self, *args: Any, **named: Any) -> Mapping[int, frozenset[str]]:
            with noted(self._spans):
                return await super().screen(*args, **named)

    class Timed(TestRunner):
        @asynccontextmanager
        async def warm(self, ws: Workspace, *, heir: bool = True) -> AsyncIterator[WarmTests]:
            async with super().warm(ws, heir=heir) as tests:
                yield TimedTests(tests, search if heir else verdicts)

    return Timed


@contextmanager
def noted(spans: list[Span]) -> Iterator[None]:
    began = time.time()
    try:
        yield
    finally:
        spans.append((began, time.time()))


def outside(spans: Sequence[Span], begin: float, end: float) -> float:
    """Seconds of ``begin`` to ``end`` that lie in none of ``spans``, which may overlap."""
    covered, at = 0.0, begin
    for low, high in sorted(spans):
        low, high = max(low, at), min(high, end)
        if high > low:
            covered, at = covered + high - low, high
    return end - begin - covered


def by_phase(entries: Sequence[Entry], spans: Sequence[Span]) -> Iterator[tuple[str, float]]:
    """Each stretch between two transitions, named by the phase, without test time."""
    marks = [e for e in entries if e.payload.get("event") in ("op.started", "phase.entered", "terminal")]
    for one, two in pairwise(marks):
        yield str(one.phase), outside(spans, moment(one), moment(two))


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOp:
    """Seconds of an op without the runs for verdicts, also without those of the search (``idle_s``), and so by phase."""

    without_verdicts_s: float
    idle_s: float
    phases: dict[str, float]
    runs: int
    tried: int
    started: dict[str, int]  # processes, by program


async def ops(at: World) -> list[OneOp]:
    config = load(at.repo, at.environ)
    verdicts, search, started = list[Span](), list[Span](), processes()
    service = Service(config, clock=SystemClock())
    service.runner_type = timing(verdicts, search)
    found = []
    try:
        await service.open()
        await service.bring_up()
        ledger = service.core.ledger
        for _ in range(OPS):
            mark = ledger.head.seq
            await asyncio.to_thread(at.break_it, BUG)
            verdicts.clear()
            search.clear()
            started.clear()
            codes = await work_off(service, FixRequest())
            assert codes == [0], codes
            entries = [e for e in await ledger.entries(after=mark) if e.op_id]
            found.append(measured(entries, verdicts, search, started))
    finally:
        await service.close()
    return found


def processes() -> list[tuple[float, str]]:
    """Time and program of every process that this one starts from now on; the list grows with them."""
    found = list[tuple[float, str]]()

    def heard(event: str, args: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            found.append((time.time(), Path(os.fsdecode(args[0])).name))

    sys.addaudithook(heard)
    return found


def measured(
    entries: Sequence[Entry], verdicts: Sequence[Span], search: Sequence[Span], started: Sequence[tuple[float, str]]
) -> OneOp:
    first = moment(next(e for e in entries if e.payload.get("event") == "op.started"))
    last = moment(next(e for e in entries if e.payload.get("event") == "terminal"))
    tests, phases = (*verdicts, *search), dict[str, float]()
    for phase, seconds in by_phase(entries, tests):
        phases[phase] = phases.get(phase, 0) + seconds
    return OneOp(
        without_verdicts_s=outside(verdicts, first, last),
        idle_s=outside(tests, first, last),
        phases=phases,
        runs=sum(end > first for _, end in verdicts),
        tried=len(search),
        started=Counter(program for at, program in started if first <= at <= last),
    )


def overhead() -> list[Row]:
    with world(approval__notify_delay_s=0, log__level="error") as at:
        found = asyncio.run(ops(at))
        python = str(at.repo / ".venv/bin/python")
        by_hand = wall([python, "-m", "pytest", "-q"], at.environ, at.repo)
    first, later = found[0], found[1:]
    shares = ", ".join(f"{n} {1000 * statistics.median([one.phases[n] for one in later]):.0f}" for n in first.phases)
    return [
        (
            "overhead of the eleven phases, without test time",
            median_ms([one.idle_s for one in later]),
            f"ms by phase: {shares}",
        ),
        (
            "the same with the runs in which the search tries its candidates",
            median_ms([one.without_verdicts_s for one in later]),
            f"{later[0].tried} such runs",
        ),
        (
            "processes that an op starts",
            f"{statistics.median([sum(one.started.values()) for one in later]):.0f}",
            ", ".join(f"{count} {program}" for program, count in Counter(later[0].started).most_common()),
        ),
        ("overhead, first op of a boot", median_ms([first.idle_s]), f"{first.runs} test runs; one by hand: {by_hand}"),
    ]


FIGURES: dict[str, Callable[[], list[Row]]] = {
    "start": start,
    "rest": rest,
    "commit": commit,
    "overhead": overhead,
    "status": status,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []], help="default: all")
    wanted = parser.parse_args().figures or list(FIGURES)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a daemon that was started here is stopped
    print(f"{machine()}\n\n| what | median (range) | beside it |\n|---|---|---|", flush=True)
    for name in wanted:
        for row in FIGURES[name]():
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
