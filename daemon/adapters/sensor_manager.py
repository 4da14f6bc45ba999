"""The senses of one boot: bus, watcher, sensors, and what status says of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from daemon.adapters.ports import RepositoryIgnores, is_taken_over, is_unchanged
from daemon.adapters.sensor_ports import sensor_ports
from daemon.control.messages import Fixing, SuiteView
from daemon.house import House
from daemon.views.text import count
from daemon.webhook.endpoint import WebhookEndpoint
from governance.verification.suppressed_tests import LeftAlone
from ledger.errors import ControlError, RepositoryError, SandboxMissing, TestsUnavailable
from ledger.vocabulary import RunStatus, Signal, Source, TestRun
from sensors.bus import Bus, Event, Topic
from sensors.intake.records import Receipt
from sensors.registry import build_sensors, named_places, switch_of
from sensors.requests.deliveries import Deliveries
from sensors.requests.replies import Reply
from sensors.roles import FreeTextSensor, SpeechSensor
from sensors.runner import CodeFollower, SensorRunner
from sensors.sensor import SensorState
from sensors.watch.watcher import Watcher
from tools.index.checkout import CheckoutFeed

log = logging.getLogger(__name__)

NAMED = "Name a test that is committed, like tests/test_cart.py::test_total."
SET_UP = "`ouro doctor` checks the set-up."


def _silent(state: SensorState) -> str:
    """Of a sensor that has no line in status."""
    return f"unavailable: {state.problem}" if state.problem else "on"


class SensorManager:
    """Made when the house is equipped. ``start`` watches; without it ``scan`` still looks when it is asked."""

    def __init__(self, house: House) -> None:
        self._house = house
        settings, clock = house.config.settings, house.clock
        self._bus = Bus(clock=clock, settings=settings.bus)
        house.health.tell(lambda: self._bus.publish(Event(topic=Topic.HEALTH_SAMPLED)))
        self._watcher = Watcher(
            places=house.config.places,
            ignore=RepositoryIgnores(git=house.git),
            settings=settings.watch,
            named=named_places(settings, str(house.config.places.repo)),
        )
        self._code = CodeFollower(index=CheckoutFeed(index=house.code, git=house.git, repository=house.repository))
        self._scans: list[list[Receipt]] = []  # what became of the signals of each scan in progress
        self._asked = 0  # scans in progress that a person asked for
        self._taken_back = LeftAlone(refused=house.refused, repository=house.repository, git=house.git)
        ports = sensor_ports(house, emit=self._emit, left_alone=self._left_alone, follow=self._watcher.follow)
        built = build_sensors(ports, settings)
        self.by_source = built.sensors
        """The sensors that are on."""
        self._resting = built.resting
        self._built = built
        self.suite_sensor = built.suite
        house.router.compare_by(self._is_unchanged)
        house.router.tell_hindered(self.suite_sensor.forget)  # whoever was in the way makes an event when he is done
        self._runners = {
            source: SensorRunner(sensor=sensor, ledger=house.ledger) for source, sensor in self.by_source.items()
        }
        self._webhooks = WebhookEndpoint(
            ledger=house.ledger,
            clock=clock,
            bus=self._bus,
            deliveries=Deliveries(ledger=house.ledger),
            lookup=house.config.secret,
            settings=settings.webhook,
        )
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
        """Watch, and let the sensors look at start-up. ``lost`` is told of a task that ends by a fault."""
        await self.settle_branches()
        await self._house.router.read_goals()
        self._tasks = [
            asyncio.create_task(self._watcher.run(self._bus), name="watcher"),
            asyncio.create_task(self._branches(), name="review branches"),
            asyncio.create_task(self._code.run(self._bus), name="code index"),
            *(
                asyncio.create_task(runner.run(self._bus), name=source.value)
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
            await self.suite_sensor.scan_once(force=True)
            state = self.suite_sensor.state()
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
        await self.suite_sensor.submit_failures(run, head.commit)
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
        """A review branch that the owner deleted is a rejection, goals are what HEAD says: looked at when refs move.

        Refs that cannot be read now (a HEAD that is about to be replaced, say) are looked at when they move again.
        """
        async with self._bus.subscribe(Topic.REFS_MOVED) as moves:
            async for _ in moves:
                try:
                    await self.settle_branches()
                    await self._house.router.read_goals()
                except RepositoryError as error:
                    log.warning("review branches and goals could not be looked at: %s", error)

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
        seen, bus = self._watcher.counts, self._bus
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

    def says(self) -> dict[Source, str]:
        """The line of each sensor that is on, for `ouro sensors`."""
        states = [runner.state() for runner in self._runners.values()]
        return {**{state.source: state.line or _silent(state) for state in states}, **self._resting}

    def notes(self) -> tuple[str, ...]:
        """What the owner may want to know, for `ouro status`."""
        states = [runner.state() for runner in self._runners.values()]
        tests = self._runners[self.suite_sensor.source].state()
        counts = self._watcher.counts
        polling = f"the file watcher polls: {counts.reason}" if counts.polling else ""
        lines = (f"{state.source.value}: {state.line}" for state in states if self._is_noteworthy(state))
        goals = self._house.router.goals.problem
        notes = (tests.note, polling, self._code.note, self._webhooks.note, goals, *lines)
        return tuple(note for note in notes if note)

    def _is_noteworthy(self, state: SensorState) -> bool:
        """Whether a sensor's line belongs into status. That of the suite has a place of its own there."""
        if state.source == self.suite_sensor.source:
            return False
        return bool(state.problem if self.by_source[state.source].spec.problems_only else state.line)
