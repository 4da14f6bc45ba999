"""The senses of one boot: bus, watcher, sensors, and what status says of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from daemon.adapters.background import Background
from daemon.adapters.gh import issue_poll
from daemon.adapters.named_places import named_places
from daemon.adapters.ports import RepositoryIgnores, depth_of, is_taken_over, is_unchanged
from daemon.control.messages import Fixing, SuiteView
from daemon.house import House
from daemon.views.text import count
from daemon.views.told import cannot_talk
from daemon.webhook.endpoint import WebhookEndpoint
from governance.irongate.secrets import redact
from governance.verification.suppressed_tests import LeftAlone
from ledger.clock import stamp
from ledger.errors import ControlError, SandboxMissing, TestsUnavailable
from ledger.vocabulary import RunStatus, Signal, Source, TestRun
from sensors.bus import Bus, Event, Topic
from sensors.causes import signals_of
from sensors.code import CodeFollower
from sensors.deliveries import Deliveries
from sensors.github_issue import GitHubIssue
from sensors.intake.records import Receipt
from sensors.runner import SensorRunner
from sensors.sensor import SensorState
from sensors.test_failure import TestFailure
from sensors.watch import Watcher
from tools.index.checkout import CheckoutFeed

NAMED = "Name a test that is committed, like tests/test_cart.py::test_total."
SET_UP = "`ouro doctor` checks the set-up."


def _silent(state: SensorState) -> str:
    """Of a sensor that has no line in status."""
    return f"unavailable: {state.problem}" if state.problem else "on"


class Senses:
    """Made when the house is equipped. ``start`` watches; without it ``scan`` still looks when it is asked."""

    def __init__(self, house: House) -> None:
        self._house = house
        settings, clock = house.config.settings, house.clock
        self._bus = Bus(clock=clock, settings=settings.bus)
        house.health.tell(lambda: self._bus.publish(Event(topic=Topic.HEALTH_SAMPLED)))
        self._watcher = Watcher(
            places=house.config.places, ignore=RepositoryIgnores(git=house.git), settings=settings.watch,
            named=named_places(settings.sensors, house.config.places.repo),
        )  # fmt: skip
        self._code = CodeFollower(index=CheckoutFeed(index=house.code, git=house.git, repository=house.repository))
        self._scans: list[list[Receipt]] = []  # what became of the signals of each scan in progress
        self._asked = 0  # scans in progress that a person asked for
        self._taken_back = LeftAlone(refused=house.refused, repository=house.repository, git=house.git)
        self._test_failure = TestFailure(
            repository=house.repository,
            tests=house.tests,
            emit=self._emit,
            ledger=house.ledger,
            clock=clock,
            depth_of=lambda op_id: depth_of(house.ledger, op_id),
            spool=house.config.places.spool,
            redact=redact,
            left_alone=self._left_alone,
            settings=settings.test_failure,
        )
        house.router.compare_by(self._is_unchanged)
        house.router.tell_hindered(self._test_failure.forget)  # whoever was in the way makes an event when he is done
        self._runner = SensorRunner(sensor=self._test_failure, ledger=house.ledger)
        deliveries = Deliveries(ledger=house.ledger)
        self._webhooks = WebhookEndpoint(
            ledger=house.ledger, clock=clock, bus=self._bus, deliveries=deliveries, lookup=house.config.secret,
            settings=settings.webhook,
        )  # fmt: skip
        self.issues = self._github_issue(deliveries)
        self._issues = SensorRunner(sensor=self.issues, ledger=house.ledger)
        self.background = Background(house, self._emit, self._watcher.follow)
        self._tasks: list[asyncio.Task[None]] = []

    def _github_issue(self, deliveries: Deliveries) -> GitHubIssue:
        house = self._house
        return GitHubIssue(
            repository=house.repository,
            files=house.repository,
            tests=house.tests,
            deliveries=deliveries,
            emit=self._emit,
            withdraw=house.router.drop,
            takes_words=lambda: not cannot_talk(house.provider.capabilities),
            ledger=house.ledger,
            clock=house.clock,
            redact=redact,
            settings=house.config.settings.github_issue,
            poll=issue_poll(house, deliveries),
        )

    async def start(self, lost: Callable[[asyncio.Task[None]], None]) -> None:
        """Watch, and let the sensors look at start-up. ``lost`` is told of a task that ends by a fault."""
        await self.settle_branches()
        await self._house.router.read_goals()
        self._tasks = [
            asyncio.create_task(self._watcher.run(self._bus), name="watcher"),
            asyncio.create_task(self._runner.run(self._bus), name="test_failure"),
            asyncio.create_task(self._branches(), name="review branches"),
            asyncio.create_task(self._code.run(self._bus), name="code index"),
            asyncio.create_task(self._issues.run(self._bus), name="github_issue"),
            *(asyncio.create_task(each.run(self._bus), name=each.source.value) for each in self.background.runners),
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
        await self._house.repository.check()
        self._check_tests()
        receipts: list[Receipt] = []
        self._scans.append(receipts)
        self._asked += asked
        try:
            return await self._scan(node_id, receipts)
        finally:
            self._asked -= asked
            self._scans = [each for each in self._scans if each is not receipts]

    async def _scan(self, node_id: str | None, receipts: list[Receipt]) -> Fixing:
        await self.settle_branches()
        if node_id is None:
            await self._test_failure.scan_once(force=True)
            state = self._test_failure.state()
            if state.problem:
                raise TestsUnavailable(state.problem, remedy=state.remedy)
            message = state.line
        else:
            message = await self._one(node_id)
        told = [f"{r.status}: {r.reason}" for r in receipts if r.status != "queued" and r.reason]
        signals = tuple(r.of or r.signal_id for r in receipts if r.status in ("queued", "duplicate"))
        waits = any(r.status == "suppressed" for r in receipts) and bool(await self._house.refused.waiting())
        return Fixing(signals=signals, waits=waits, message=" ".join([message, *told]))

    def _check_tests(self) -> None:
        house = self._house
        if house.choice is not None and house.choice.sandbox is None:
            raise SandboxMissing(
                "No sandbox holds here, so no code of this repository is run.", remedy=house.choice.remedy
            )
        if house.tests.runner is None:
            raise TestsUnavailable(house.tests.problem)

    async def _one(self, node_id: str) -> str:
        house = self._house
        head = await house.repository.head()
        if head.commit is None:
            raise ControlError("The repository has no commit yet.", remedy="Commit something first.")
        path = node_id.partition("::")[0].rstrip("/")
        held = await house.git.call("cat-file", "-e", f"{head.commit}:{path}", ok=(0, 1, 128))
        if held.code != 0:
            raise TestsUnavailable(f"There is no file {path} at {head.commit[:12]}.", remedy=NAMED)
        run: TestRun = await house.tests.run(head.commit, [node_id])
        if run.status is RunStatus.GREEN:
            return f"{node_id} passes at {head.commit[:12]}."
        if run.status is not RunStatus.RED:
            raise TestsUnavailable(
                f"{node_id} could not be judged: {run.reason}",
                remedy=NAMED if run.status is RunStatus.INCONCLUSIVE else SET_UP,
            )
        for signal in signals_of(
            run.red, base=head.commit, snapshot=None, green_before=frozenset(), depth=0,
            seen_at=stamp(house.clock.now()), redact=redact,
        ):  # fmt: skip
            await self._emit(signal)
        return f"{node_id} fails at {head.commit[:12]}."

    async def _is_unchanged(self, before: Signal, now: Signal) -> bool:
        return await is_unchanged(self._house.git, self._house.repository, before, now)

    async def _left_alone(self, commit: str) -> frozenset[str]:
        """What the owner asks for is not left alone, whatever was taken back before."""
        return frozenset() if self._asked else await self._taken_back.tests(commit)

    async def _emit(self, signal: Signal) -> Receipt:
        receipt = await self._house.router.submit(signal, asked=self._asked > 0)
        for receipts in self._scans:
            receipts.append(receipt)
        return receipt

    async def _branches(self) -> None:
        """A review branch that the owner deleted is a rejection, goals are what HEAD says: looked at when refs move."""
        async with self._bus.subscribe(Topic.REFS_MOVED) as moves:
            async for _ in moves:
                await self.settle_branches()
                await self._house.router.read_goals()

    async def settle_branches(self) -> None:
        """Close what waited on review branches that the owner has merged or deleted."""
        house = self._house
        for waiting in await house.refused.waiting():
            taken_over = await is_taken_over(house.git, house.repository, waiting.commit)
            if taken_over or not await house.repository.has_branch(waiting.branch):
                await house.refused.close(waiting, taken_over=taken_over)
        await house.router.check_branches()

    # --- for status ---

    async def suite(self, commit: str | None) -> SuiteView:
        """What is known of the tests at ``commit``."""
        state = self._runner.state()
        known = await self._test_failure.known(commit) if commit else None
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
        seen, bus = self._watcher.counts, self._bus
        how = f"polls: {seen.reason}" if seen.polling else f"inotify on {count(seen.folders, 'folder')}"
        told = f"{count(seen.events, 'change')} in {count(seen.looks, 'look')}, {count(bus.published, 'event')} told"
        dropped = ((seen.unchanged, "unchanged"), (bus.repeated, "repeated"), (seen.overflows, "overflows"),
                   (bus.missed, "missed by slow consumers"))  # fmt: skip
        return "; ".join((how, told, *(f"{number} {what}" for number, what in dropped if number)))

    @property
    def webhooks(self) -> str:
        """Where they are heard, and how many were."""
        return self._webhooks.line

    def says(self) -> dict[Source, str]:
        """What each sensor that is on says of itself."""
        states = [runner.state() for runner in (self._runner, self._issues, *self.background.runners)]
        return {**{state.source: state.line or _silent(state) for state in states}, **self.background.resting}

    def notes(self) -> tuple[str, ...]:
        state = self._runner.state()
        counts = self._watcher.counts
        polling = f"the file watcher polls: {counts.reason}" if counts.polling else ""
        issues = self._issues.state()
        unasked = f"{issues.source.value}: {issues.line}" if issues.problem else ""
        goals = self._house.router.goals.problem
        notes = (state.note, polling, self._code.note, self._webhooks.note, unasked, goals, *self.background.notes())
        return tuple(note for note in notes if note)
