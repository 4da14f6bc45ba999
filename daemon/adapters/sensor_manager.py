"""Runs the sensors of one boot, and reports their state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from daemon.adapters.committed_tests import CommittedTests
from daemon.adapters.test_setup import TestSetup
from daemon.app.core import Core
from daemon.control.messages import Fixing, SuiteView
from daemon.views.text import count
from daemon.webhook.endpoint import WebhookEndpoint
from governance.verification.suppressed_tests import SuppressedTests
from ledger.errors import ControlError, RepositoryError, TestNotFound, TestsUnavailable
from ledger.vocabulary import RunStatus, Signal, Source, TestRun
from sensors.bus import Topic
from sensors.intake.records import Receipt
from sensors.intake.router import IntakeRouter
from sensors.registry import BuiltSensors, switch_of
from sensors.requests.replies import Reply
from sensors.roles import FreeTextSensor, SpeechSensor
from sensors.runner import CodeFollower, SensorRunner
from sensors.sensor import SensorState
from sensors.watch.watcher import Watcher
from tools.git import Git
from tools.repository import Repository

log = logging.getLogger(__name__)

NAMED = "Name a test that is committed, like tests/test_cart.py::test_total."
SET_UP = "`ouro doctor` checks the set-up."


async def is_taken_over(git: Git, repository: Repository, commit: str) -> bool:
    """True when the owner's branch holds ``commit``, or reads in its files as it does (squashed, picked, retyped)."""
    if (await git.call("cat-file", "-e", f"{commit}^{{commit}}", ok=(0, 1, 128))).code != 0:
        return False
    if (await git.call("merge-base", "--is-ancestor", commit, "HEAD", ok=(0, 1, 128))).code == 0:
        return True
    head, parent = (await repository.head()).commit, await repository.parent(commit)
    if head is None or parent is None:
        return False
    paths = await repository.changed_between(parent, commit)
    return not set(paths) & set(await repository.changed_between(commit, head))


def _silent(state: SensorState) -> str:
    """Of a sensor that has no line in status."""
    return f"unavailable: {state.problem}" if state.problem else "on"


@dataclass(slots=True, kw_only=True, eq=False)
class Scan:
    """A scan in progress. ``asked``: a person waits for it."""

    asked: bool
    receipts: list[Receipt] = field(default_factory=list)


class SignalIntake:
    """Hands the signals of sensors to the router. A scan in progress learns what became of them."""

    def __init__(self, *, router: IntakeRouter, suppressed: SuppressedTests) -> None:
        self._router = router
        self._suppressed = suppressed
        self._scans: list[Scan] = []

    @contextmanager
    def scan(self, *, asked: bool) -> Iterator[list[Receipt]]:
        """Collect the receipts of all signals inside the block. ``asked``: a person wants it done now."""
        scan = Scan(asked=asked)
        self._scans.append(scan)
        try:
            yield scan.receipts
        finally:
            self._scans.remove(scan)

    @property
    def is_scanning(self) -> bool:
        return bool(self._scans)

    @property
    def is_asked(self) -> bool:
        """True while a person waits for a scan."""
        return any(scan.asked for scan in self._scans)

    async def emit(self, signal: Signal) -> Receipt:
        """Submit a signal of a sensor."""
        receipt = await self._router.submit(signal, asked=self.is_asked)
        for scan in self._scans:
            scan.receipts.append(receipt)
        return receipt

    async def left_alone(self, commit: str) -> frozenset[str]:
        """Red tests for which no signal is made; none while a person asks, whatever was taken back before."""
        return frozenset() if self.is_asked else await self._suppressed.tests(commit)


class SensorManager:
    """Runs the sensors. :meth:`start` watches; without it :meth:`scan` still looks on request."""

    def __init__(
        self,
        *,
        core: Core,
        tests: Callable[[], TestSetup],
        committed_tests: CommittedTests,
        intake: SignalIntake,
        watcher: Watcher,
        built: BuiltSensors,
        code: CodeFollower,
        webhooks: WebhookEndpoint,
    ) -> None:
        self._core = core
        self._tests = tests
        self.committed_tests = committed_tests
        self.intake = intake
        self._watcher = watcher
        self._built = built
        self._code = code
        self._webhooks = webhooks
        self.suite_sensor = built.suite
        self.by_source = built.sensors
        """The sensors that are on."""
        self._runners = {
            source: SensorRunner(sensor=sensor, ledger=core.ledger) for source, sensor in built.sensors.items()
        }
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def speech(self) -> SpeechSensor[Any]:
        """Raises ``ControlError`` where spoken commands are switched off."""
        found = self._built.speech
        if found is None:
            raise ControlError(
                f"Spoken commands are switched off ({switch_of(SpeechSensor)}).",
                remedy="Switch it on in your own settings file.",
            )
        return found

    @property
    def free_text(self) -> FreeTextSensor[Any]:
        """Raises ``ControlError`` where free text is switched off."""
        found = self._built.free_text
        if found is None:
            raise ControlError(
                f"Free text is switched off ({switch_of(FreeTextSensor)}).",
                remedy="/help lists the commands; /submit GOAL hands in work.",
            )
        return found

    @property
    def reads_uncommitted(self) -> bool:
        """Whether saved, uncommitted files are tested as well."""
        return self.suite_sensor.reads_uncommitted

    async def answer_wish(self, reference: str, text: str) -> Reply | None:
        """The owner's answer to a wish; None where ``reference`` is none. Raises ``ControlError`` for other words."""
        found = self._built.free_text
        return await found.answer(reference, text) if found is not None else None

    async def start(self, lost: Callable[[asyncio.Task[None]], None]) -> None:
        """Watch, and let the sensors look at start-up. ``lost`` is called with each task that ends."""
        await self.settle_branches()
        await self._core.router.read_goals()
        self._tasks = [
            asyncio.create_task(self._watcher.run(self._core.bus), name="watcher"),
            asyncio.create_task(self._follow_refs(), name="review branches"),
            asyncio.create_task(self._code.run(self._core.bus), name="code index"),
            *(
                asyncio.create_task(runner.run(self._core.bus), name=source.value)
                for source, runner in self._runners.items()
            ),
        ]
        for task in self._tasks:
            task.add_done_callback(lost)
        await self._webhooks.start()

    async def stop(self) -> None:
        """End watching; a test run in progress is killed."""
        await self._webhooks.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def scan(self, node_id: str | None, *, asked: bool = False) -> Fixing:
        """Look now: at everything, or at one test. Returns the signals that were taken in.

        ``asked``: a person wants it now, so what failed a moment ago is tried again. Raises ``RepositoryError``,
        ``SandboxMissing`` or ``TestsUnavailable`` where nothing can be seen.
        """
        await self._core.repository.check()
        self._tests().require_runner()
        with self.intake.scan(asked=asked) as receipts:
            return await self._scan(node_id, receipts)

    async def _scan(self, node_id: str | None, receipts: list[Receipt]) -> Fixing:
        await self.settle_branches()
        if node_id is None:
            await self.suite_sensor.scan_once(force=True)
            state = self.suite_sensor.state()
            if state.problem:
                raise TestsUnavailable(state.problem, remedy=state.remedy)
            message = state.line
        else:
            message = await self._one(node_id)
        told = [f"{r.status}: {r.reason}" for r in receipts if r.status not in ("queued", "duplicate") and r.reason]
        signals = tuple(r.of or r.signal_id for r in receipts if r.status in ("queued", "duplicate"))
        waits = any(r.status == "suppressed" for r in receipts) and bool(await self._core.refused.waiting())
        known = any(r.status == "duplicate" for r in receipts)
        return Fixing(signals=signals, waits=waits, known=known, message=" ".join([message, *told]))

    async def _one(self, node_id: str) -> str:
        core = self._core
        head = await core.repository.head()
        if head.commit is None:
            raise ControlError("The repository has no commit yet.", remedy="Commit something first.")
        path = node_id.partition("::")[0].rstrip("/")
        held = await core.git.call("cat-file", "-e", f"{head.commit}:{path}", ok=(0, 1, 128))
        if held.code != 0:
            raise TestNotFound(f"There is no file {path} at {head.commit[:12]}.", remedy=NAMED)
        run: TestRun = await self.committed_tests.run(head.commit, [node_id])
        if run.status is RunStatus.GREEN:
            return f"{node_id} passes at {head.commit[:12]}."
        if run.status is not RunStatus.RED:
            problem = f"{node_id} could not be judged: {run.reason}"
            if run.status is RunStatus.INCONCLUSIVE:
                raise TestNotFound(problem, remedy=NAMED)
            raise TestsUnavailable(problem, remedy=SET_UP)
        await self.suite_sensor.submit_failures(run, head.commit)
        return f"{node_id} fails at {head.commit[:12]}."

    async def _follow_refs(self) -> None:
        """Check review branches (a deleted one is a rejection) and goals whenever refs move.

        Refs that cannot be read now (a HEAD that is about to be replaced, say) are looked at when they move again.
        """
        async with self._core.bus.subscribe(Topic.REFS_MOVED) as moves:
            async for _ in moves:
                try:
                    await self.settle_branches()
                    await self._core.router.read_goals()
                except RepositoryError as error:
                    log.warning("review branches and goals could not be looked at: %s", error)

    async def settle_branches(self) -> None:
        """Close what waited on review branches that the owner has merged or deleted."""
        core = self._core
        for waiting in await core.refused.waiting():
            taken_over = await is_taken_over(core.git, core.repository, waiting.commit)
            if taken_over or not await core.repository.has_branch(waiting.branch):
                await core.refused.close(waiting, taken_over=taken_over)
        await core.router.check_branches()

    # --- for status ---

    async def suite(self, commit: str | None) -> SuiteView:
        """What is known of the tests at ``commit``."""
        state = self._runners[self.suite_sensor.source].state()
        known = await self.suite_sensor.known(commit) if commit else None
        if known is None:
            status = "running" if state.running else "unknown"
            return SuiteView(status=status, note="; ".join(part for part in (state.line, state.note) if part))
        flaky = f"{known.flaky[0]} failed once and passed when run again" if known.flaky else ""
        return SuiteView(
            status=(RunStatus.GREEN if known.green else RunStatus.RED).value,
            tests=known.collected,
            red=known.red,
            commit=known.tree,
            note="; ".join(part for part in (flaky, state.note) if part),
        )

    @property
    def events(self) -> str:
        """How changes are noticed, and how many there were since this boot."""
        seen, bus = self._watcher.counts, self._core.bus
        how = f"polls: {seen.reason}" if seen.polling else f"inotify on {count(seen.folders, 'folder')}"
        told = f"{count(seen.events, 'change')} in {count(seen.looks, 'look')}, {count(bus.published, 'event')} told"
        dropped = (
            (seen.unchanged, "unchanged"),
            (bus.repeated, "repeated"),
            (seen.overflows, "overflows"),
            (bus.missed, "missed by slow consumers"),
        )
        return "; ".join((how, told, *(f"{number} {what}" for number, what in dropped if number)))

    @property
    def webhooks(self) -> str:
        """Where they are heard, and how many were."""
        return self._webhooks.line

    def status_lines(self) -> dict[Source, str]:
        """The line of each sensor that is on, for `ouro sensors`."""
        states = [runner.state() for runner in self._runners.values()]
        return {**{state.source: state.line or _silent(state) for state in states}, **self._built.resting}

    def notes(self) -> tuple[str, ...]:
        """What the owner may want to know, for `ouro status`."""
        states = [runner.state() for runner in self._runners.values()]
        tests = self._runners[self.suite_sensor.source].state()
        counts = self._watcher.counts
        polling = f"the file watcher polls: {counts.reason}" if counts.polling else ""
        lines = (f"{state.source.value}: {state.line}" for state in states if self._is_noteworthy(state))
        goals = self._core.router.goals.problem
        notes = (tests.note, polling, self._code.note, self._webhooks.note, goals, *lines)
        return tuple(note for note in notes if note)

    def _is_noteworthy(self, state: SensorState) -> bool:
        """Whether a sensor's line belongs into status. That of the suite has a place of its own there."""
        if state.source == self.suite_sensor.source:
            return False
        return bool(state.problem if self.by_source[state.source].spec.problems_only else state.line)
