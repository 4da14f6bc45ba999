"""The test failure sensor: runs the suite and emits signals for failing tests.

It runs the suite at the committed tree at start-up, after a commit or a moved branch, and after reports of the owner's
own test runs (with the setting ``eager`` also after saved files). Tests that fail twice in a row become one signal for
each cause. Tests that fail only with uncommitted edits are the owner's work in progress: a note in status, no signal.
A reported failure of a build elsewhere makes the sensor run a commit that is green here once more; it is no signal.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ledger.clock import stamp
from ledger.errors import OuroError
from ledger.parsers.json import read_json
from ledger.vocabulary import Frozen, Signal, TestRun
from sensors.bus import Bus, Subscription, Topic, until_quiet
from sensors.failing_tests import needs_network
from sensors.ports import SensorPorts
from sensors.roles import KnownOutcome, SuiteSensor
from sensors.test_failure import SPEC, TestFailureSettings
from sensors.test_failure.outcomes import SCHEMA, Outcomes
from sensors.test_failure.signals import signals_of
from sensors.test_failure.suite import Suite, SuiteFinding

LIMIT_BYTES = 1024 * 1024
LIMIT_FILES = 1_000
LIMIT_IDS = 50


class SpoolReport(Frozen):
    """The report of one test run. ``red`` is None for a report without test results: it only triggers a scan."""

    name: str
    red: tuple[str, ...] | None


def take_reports(folder: Path) -> tuple[SpoolReport, ...]:
    """Read and remove the reports in the spool folder, oldest first. Blocks. A file that cannot be read is removed."""
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix == ".json" and not path.name.startswith("."))
    except OSError:
        return ()
    return tuple(_take(path) for path in found[:LIMIT_FILES])


def _take(path: Path) -> SpoolReport:
    red: tuple[str, ...] | None = None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            content = read_json(file.read(LIMIT_BYTES))
        listed = content.get("red") if isinstance(content, dict) else None
        if isinstance(listed, list):
            red = tuple(str(test)[:1000] for test in listed[:LIMIT_IDS])
    except (OSError, ValueError, RecursionError):
        red = None  # an unreadable report still triggers a scan
    with suppress(OSError):
        path.unlink()
    return SpoolReport(name=path.name, red=red)


TAKEN_BACK = "its repair was taken back; left alone until the code changes"
OFFLINE = "needs the network, which tests do not have here; left alone"


class TestFailure(SuiteSensor[TestFailureSettings]):
    """Emits signals for failing tests, as the module docstring describes."""

    __test__ = False  # not a pytest class
    spec = SPEC
    tables = (SCHEMA,)

    def __init__(self, *, ports: SensorPorts, settings: TestFailureSettings) -> None:
        super().__init__(ports=ports, settings=settings)
        self._outcomes = Outcomes(ledger=ports.ledger, clock=ports.clock, keep=settings.remembered)
        self._suite = Suite(
            tests=ports.tests,
            repository=ports.repository,
            outcomes=self._outcomes,
            confirm_limit=settings.confirm_limit,
            redact=ports.redact,
        )
        self._wake = asyncio.Event()
        self._again = False  # woken during a scan although HEAD has not moved
        self._doubted = ""  # a commit for which a build elsewhere reported a failure
        self._settled: set[str] = set()  # such commits that were run again since the daemon started
        self._looked: set[str] = set()  # trees run since the daemon started; red results from before that are run again
        self._hindered = 0  # value of the port `hindered` at the last scan
        self._reported: tuple[str, ...] = ()  # tests that failed in the last run that the owner's pytest reported
        self._offline: tuple[str, ...] = ()  # tests that failed in the last scan because they need the network

    # --- the protocol of sensors ---

    async def start(self, bus: Bus) -> None:
        """Scan once, then after every wake-up, until cancelled."""
        topics = [Topic.REFS_MOVED, Topic.TESTS_REPORTED, Topic.BUILD_FAILED]
        if self._settings.eager:
            topics.append(Topic.FILES_CHANGED)
        async with bus.subscribe(*topics) as events, asyncio.TaskGroup() as group:
            self._wake.set()
            group.create_task(self._listen(events))
            await self._work()

    @property
    def reads_uncommitted(self) -> bool:
        return self._settings.eager

    async def scan_once(self, *, force: bool = False) -> tuple[Signal, ...]:  # does not wait for a scan in progress
        return await self._scan(force=force)

    async def _scan(self, *, force: bool = False) -> tuple[Signal, ...]:
        head = await self._repository.check()
        await self._read_reports()
        self._show(f"Testing {head[:12]}.", running=True)
        signals = await self._scan_tree(head, base=head, force=force)
        if self._settings.eager:
            tree = await self._repository.snapshot()
            if tree != head:
                signals += await self._scan_tree(tree, base=head, force=force)
        await self._note(head)
        return signals

    async def known(self, commit: str) -> KnownOutcome | None:
        return await self._outcomes.of(commit)

    # --- waking up ---

    async def _listen(self, events: Subscription) -> None:
        async for delivery in events:
            if delivery.event.topic is Topic.BUILD_FAILED:
                self._doubted = delivery.event.text
            self._wake.set()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            try:
                async with asyncio.TaskGroup() as meanwhile:
                    meanwhile.create_task(self._suite.prepare())
                    await until_quiet(
                        self._wake, quiet_s=self._settings.debounce_s, most_s=self._settings.debounce_most_s
                    )
                await self._scan_unless_head_moves()
            except OuroError as error:
                self._show(str(error))
                self._looked.clear()
            finally:
                await self._suite.discard_prepared()

    async def _scan_unless_head_moves(self) -> None:
        """One scan. When HEAD moves meanwhile, the scan and its test run are cancelled and another one follows."""
        self._again = False
        head = (await self._repository.head()).commit
        scan = asyncio.ensure_future(self.scan_once())
        moved = asyncio.ensure_future(self._until_head_is_not(head))
        try:
            await asyncio.wait({scan, moved}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            scan.cancel()
            moved.cancel()
            await asyncio.wait({scan, moved})
            if self._again:
                self._wake.set()
        for task in (scan, moved):
            if not task.cancelled():
                task.result()  # raises what it raised

    async def _until_head_is_not(self, commit: str | None) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._again = True
            if (await self._repository.head()).commit != commit:
                return

    # --- scanning ---

    async def _scan_tree(self, tree: str, *, base: str, force: bool) -> tuple[Signal, ...]:
        """Scan one tree: HEAD, or, if ``tree`` is not ``base``, a snapshot of uncommitted files on top of it."""
        where = "" if tree == base else "With uncommitted files: "
        if self._ports.hindered() != self._hindered:  # an op was given up since: red results are run again
            self._looked.clear()
            self._hindered = self._ports.hindered()
        known = None if force else await self._outcomes.of(tree)
        doubted = tree == self._doubted and tree not in self._settled
        if known is not None and (not doubted if known.green else tree in self._looked):
            self._show(where + _sentence(known))
            return ()
        self._looked.add(tree)
        finding = await self._suite.look(tree)
        self._settled.update((tree,) if doubted else ())
        if finding.problem:
            self._show(where + finding.problem)
            if tree == base:
                problem = {"problem": finding.problem, "remedy": finding.remedy}
                self._state = self._state.model_copy(update=problem)
            return ()
        signals = await self._signals(finding, base=base)
        for signal in signals:
            await self._ports.emit(signal)
        await self._outcomes.remember(finding.known)
        self._show(where + _sentence(finding.known))
        return signals

    async def _signals(self, finding: SuiteFinding, *, base: str) -> tuple[Signal, ...]:
        tree = finding.known.tree
        self._offline = tuple(result.id for result in finding.red if needs_network(result))
        red = tuple(result for result in finding.red if result.id not in self._offline)
        if tree != base:  # what is red at HEAD as well has its signal already
            at_head = await self._outcomes.of(base)
            red = tuple(result for result in red if at_head is None or result.id not in at_head.red)
        elif red:
            left = await self._ports.left_alone(base)
            red = tuple(result for result in red if result.id not in left)
        if not red:
            return ()
        return signals_of(
            red,
            base=base,
            snapshot=tree if tree != base else None,
            passing_before=await self._suite.passing_before(tree, [result.id for result in red]),
            depth=await self._depth_at(tree) if tree == base else 0,
            seen_at=stamp(self._clock.now()),
            redact=self._ports.redact,
        )

    async def submit_failures(self, run: TestRun, commit: str) -> None:
        for signal in signals_of(
            run.red,
            base=commit,
            snapshot=None,
            passing_before=frozenset(),
            depth=0,
            seen_at=stamp(self._clock.now()),
            redact=self._ports.redact,
        ):
            await self._ports.emit(signal)

    # --- status for the owner ---

    async def _read_reports(self) -> None:
        for report in await asyncio.to_thread(take_reports, self._ports.spool):
            if report.red is not None:
                self._reported = report.red

    async def _note(self, head: str) -> None:
        known = await self._outcomes.of(head)
        at_head = known.red if known is not None else ()
        left = await self._ports.left_alone(head) if at_head else frozenset()
        alone = [test for test in at_head if test in left]
        fresh = [test for test in self._reported if test not in at_head]
        notes = [f"{alone[0]}{_more(alone)}: {TAKEN_BACK}"] if alone else []
        notes += [f"{self._offline[0]}{_more(self._offline)}: {OFFLINE}"] if self._offline else []
        if known is not None and fresh and await self._repository.dirty():
            notes.append(f"red only in uncommitted edits: {fresh[0]}{_more(fresh)}")
        self._state = self._state.model_copy(update={"note": "; ".join(notes)})

    def _show(self, line: str, *, running: bool = False) -> None:
        fresh = {"problem": "", "remedy": ""} if running else {}
        self._state = self._state.model_copy(update={"line": line, "running": running, **fresh})


def _more(tests: Sequence[str]) -> str:
    return f" and {len(tests) - 1} more" if len(tests) > 1 else ""


def _sentence(known: KnownOutcome) -> str:
    flaky = f" {known.flaky[0]}{_more(known.flaky)} failed once and passed when run again." if known.flaky else ""
    if known.green:
        return f"Green at {known.tree[:12]}, {known.collected} tests.{flaky}"
    return f"Red at {known.tree[:12]}: {known.red[0]}{_more(known.red)}, of {known.collected} tests.{flaky}"
