"""Figures of the intake: router decision with a long queue, and from a commit to a queued signal.

Run from the top of the repository: ``python -m bench.intake``. Prints a Markdown table (medians on this machine).
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import sensors.registry  # noqa: F401  declares the sources of signals
from ledger.clock import SystemClock
from ledger.ids import new_signal_id, sha256_hex
from ledger.places import HostEnv, Places
from ledger.store import Ledger
from ledger.vocabulary import (
    Frame,
    OpOutcome,
    Outcome,
    RootCause,
    RunStatus,
    Signal,
    Source,
    TestResult,
    TestRun,
    TestsPass,
    Urgency,
    Verdict,
)
from sensors.bus import Bus, Topic
from sensors.intake.governor import GovernorSettings
from sensors.intake.ports import IntakePorts
from sensors.intake.router import IntakeRouter
from sensors.intake.settings import RouterSettings
from sensors.test_failure import TestFailureSettings
from sensors.test_failure.sensor import TestFailure
from sensors.watch.watcher import Watcher, WatchSettings
from tests.sensors.ports import sensor_ports
from tools.git import Git
from tools.repository import Repository

QUEUED = 10_000
TAKEN = 200
ROUNDS = 15
MANY = 1_000_000  # ops an hour: the governor decides, and never holds back


def make_signal(number: int, *, files: int = 2_000) -> Signal:
    """One of many: five on each file, all urgencies that do not wait."""
    return Signal(
        id=new_signal_id(),
        source=Source("test_failure"),
        goal=f"Make test {number} pass.",
        targets=(f"src/{number % files}.py",),
        urgency=Urgency.CRITICAL if number % 3 == 0 else Urgency.HIGH,
        key=sha256_hex(str(number)),
        closure=TestsPass(ids=(f"tests/test_{number}.py::test",)),
        base="c0",
    )


def may_release(silent_s: float, limit_s: float) -> Verdict:
    return Verdict(gate=12, rule="gate12.expired")


def admit(signal: Signal) -> Verdict:
    return Verdict(gate=19, rule="gate19.recursion")


def router_of(ledger: Ledger) -> IntakeRouter:
    caps = GovernorSettings(ops_per_hour=MANY, reflex_per_hour=MANY, changes_per_hour=MANY, changes_per_source=MANY)
    return IntakeRouter(
        ledger=ledger,
        clock=SystemClock(),
        boot="bench",
        settings=RouterSettings(),
        ports=IntakePorts(admit=admit, may_release=may_release),
        caps=caps,
    )


async def queue_figures(base: Path) -> list[tuple[str, str]]:
    """Submit, decide and claim with a long queue. The decision is what `next` does before it writes."""
    ledger = await Ledger.open(base / "queue.sqlite3", repo_id="0123456789ab", clock=SystemClock())
    router = router_of(ledger)
    await router.recover()
    began = time.perf_counter()
    await asyncio.gather(*(router.submit(make_signal(n)) for n in range(QUEUED)))
    submitted = time.perf_counter() - began
    decisions, claims = [], []
    leases = router._leases
    for _ in range(TAKEN):
        began = time.perf_counter()
        lead = router._lead()
        assert lead is not None
        leases._choose(lead, None)
        decisions.append(time.perf_counter() - began)
        began = time.perf_counter()
        op = await router.next()
        claims.append(time.perf_counter() - began)
        await router.finish(op.id, OpOutcome.COMPLETE, cause=RootCause.NONE)
    began = time.perf_counter()
    router.snapshot()
    shown = time.perf_counter() - began
    await ledger.close()
    return [
        (f"router decision, {QUEUED:,} queued", f"{_ms(decisions):.3f} ms (worst {max(decisions) * 1000:.2f})"),
        (f"router decision and durable claim, {QUEUED:,} queued", f"{_ms(claims):.1f} ms"),
        ("durable submits, grouped", f"{QUEUED / submitted:,.0f} a second"),
        (f"snapshot for status, {QUEUED:,} queued", f"{shown * 1000:.0f} ms"),
    ]


class InstantTests:
    """A test door that takes no time: red when the file says so."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self.spent_s = 0.0

    async def run(self, commit: str, ids: Sequence[str] | None = None) -> TestRun:
        began = time.perf_counter()
        text = (await self._git.call("show", f"{commit}:calc.py")).text
        self.spent_s += time.perf_counter() - began
        number = text.partition("red")[2].strip()
        result = TestResult(id="test_calc.py::test_add", outcome=Outcome.PASSED)
        if number:
            result = TestResult(
                id=f"test_calc.py::test_{number}",
                outcome=Outcome.FAILED,
                exception="AssertionError",
                frames=(Frame(path="calc.py", line=1, function="add"),),
            )
        status = RunStatus.RED if number else RunStatus.GREEN
        return TestRun(status=status, reason="red" if number else "", collected=(result.id,), results=(result,))

    async def prepare(self, commit: str) -> None:
        return None

    async def discard_prepared(self) -> None:
        return None


class Ignores:
    def __init__(self, git: Git) -> None:
        self._git = git

    async def ignored_folders(self) -> Collection[str]:
        listed = await self._git.call("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
        return [path.rstrip("/") for path in listed.fields if path.endswith("/")]

    async def ignored_among(self, paths: Collection[str]) -> Collection[str]:
        stdin = b"\0".join(os.fsencode(path) for path in paths)
        return (await self._git.call("check-ignore", "-z", "--stdin", stdin=stdin, ok=(0, 1))).fields


def _git(repo: Path, *args: str) -> None:
    identity = ("-c", "user.name=Bench", "-c", "user.email=bench@example.org")
    subprocess.run(["git", *identity, *args], cwd=repo, check=True, capture_output=True)


def _places(base: Path, repo: Path) -> Places:
    git_dir = repo / ".git"
    places = Places(
        repo=repo,
        git_dir=git_dir,
        common_dir=git_dir,
        repo_id="0123456789ab",
        state=base / "state",
        cache=base / "cache",
        config=base / "config",
        runtime=base / "run",
        home=base / "home",
    )
    for folder in (places.spool, places.runtime):
        folder.mkdir(parents=True)
    return places


async def commit_figures(base: Path) -> list[tuple[str, str]]:
    """A real commit, the real watcher, the real sensor and queue; only the tests take no time."""
    repo = base / "repo"
    repo.mkdir()
    _git(repo, "init", "-q", "-b", "main")
    (repo / "calc.py").write_text("# green\n")
    _git(repo, "add", "-A")
    _git(repo, "commit", "-q", "-m", "first")
    places = _places(base, repo)
    git = Git(places, HostEnv(variables={"PATH": os.environ["PATH"]}, path=os.environ["PATH"]))
    ledger = await Ledger.open(places.ledger, repo_id=places.repo_id, clock=SystemClock())
    router = router_of(ledger)
    await router.recover()
    tests = InstantTests(git)

    sensing, watching = TestFailureSettings(), WatchSettings()
    bus = Bus(clock=SystemClock())
    ports = sensor_ports(
        repository=Repository(git),
        emit=router.submit,
        ledger=ledger,
        clock=SystemClock(),
        tests=tests,
        spool=places.spool,
    )
    sensor = TestFailure(ports=ports, settings=sensing)
    watcher = Watcher(places=places, ignore=Ignores(git), settings=watching)
    tasks = [asyncio.create_task(watcher.run(bus)), asyncio.create_task(sensor.start(bus))]
    await watcher.ready.wait()
    moved, queued = [], []
    for number in range(ROUNDS):
        (repo / "calc.py").write_text(f"# red {number}\n")
        await asyncio.to_thread(_git, repo, "add", "-A")
        async with bus.subscribe(Topic.REFS_MOVED) as refs:
            tests.spent_s = 0.0
            await asyncio.to_thread(_git, repo, "commit", "-q", "-m", "break")
            began = time.perf_counter()
            await anext(refs)
            moved.append(time.perf_counter() - began)
            op = await router.next()
            queued.append(time.perf_counter() - began - tests.spent_s)
        await router.finish(op.id, OpOutcome.COMPLETE, cause=RootCause.NONE)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await ledger.close()
    beyond = statistics.median(queued) - watching.debounce_s - sensing.debounce_s
    return [
        ("commit to `refs.moved` on the bus, with the watcher's debounce", f"{_ms(moved):.0f} ms"),
        ("commit to queued signal, with both debounces, without test time", f"{_ms(queued):.0f} ms"),
        ("commit to queued signal beyond debounce and test time", f"{beyond * 1000:.0f} ms"),
    ]


def _ms(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1000


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = await queue_figures(Path(folder))
        rows += await commit_figures(Path(folder))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}\n")
    print("| what | median |\n|---|---|")
    for what, value in rows:
        print(f"| {what} | {value} |")


if __name__ == "__main__":
    asyncio.run(main())
