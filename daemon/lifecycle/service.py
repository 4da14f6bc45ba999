"""The service: life cycle of one boot. Starts fast, reports what is missing, stops in stages."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from daemon.adapters.provider import provider_of
from daemon.app.core import Core, build_core
from daemon.control.messages import Event, Life
from daemon.control.server import ControlServer
from daemon.control.service_api import ServiceApi
from daemon.control.token import renew
from daemon.lifecycle.instance import Instance
from daemon.lifecycle.lag import LagProbe, Watchdog
from daemon.lifecycle.logs import logger
from daemon.lifecycle.notify import Notifier
from daemon.record.heads import Heads
from daemon.settings.config import Config
from daemon.settings.places import make_folders
from daemon.views.narrate import short_of
from governance.record import Recorder
from kernel.provider import Heavy, Provider
from ledger.clock import Clock
from ledger.errors import ControlError, LedgerError, OuroError
from ledger.events.session import SessionReady, SessionStarted, SessionStateChanged
from ledger.ids import uuid7_hex
from ledger.store import Ledger
from tools.git import Git

if TYPE_CHECKING:
    from daemon.adapters.sensor_manager import SensorManager
    from daemon.app.runtime import Runtime
    from governance.changes.effects import Effects
    from tools.testing.runner import TestRunner

OnEvent = Callable[[Event], None]
T = TypeVar("T")
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Service:
    """One boot: ``open`` answers on the socket, ``bring_up`` makes it work, ``close`` ends it in stages."""

    runner_type: type[TestRunner] | None = None  # None: our own

    def __init__(self, config: Config, *, clock: Clock, on_event: OnEvent | None = None) -> None:
        self.config = config
        self.clock = clock
        self.boot = uuid7_hex()
        self.life = Life.STARTING
        self.reasons: tuple[str, ...] = ("still starting",)
        self._faults: tuple[str, ...] = ()  # what only a restart mends
        self._looking = asyncio.Lock()
        self.restart = False
        self.lasts = False  # a daemon that serves until it is stopped, not a boot for one piece of work
        self.only = ""  # the op for whose sake alone it was started
        self.heads = Heads(
            places=config.places, git=Git(config.places, config.env), settings=config.settings.changes, clock=clock
        )
        self._known = asyncio.Event()  # the table holds what was there before this boot
        self.lag = LagProbe()
        self.started_at = clock.now()
        self.stopping = asyncio.Event()
        self._core: Core | None = None
        self._runtime: Runtime | None = None
        self._replacement: Runtime | None = None  # takes over once the pool of the present one has stopped
        self._sensors: SensorManager | None = None
        self.on_event = on_event
        self.stops = Stops(live=self._live, limit_s=config.settings.service.stop_grace_s, say=self.say)
        self._notifier = Notifier(config.notify_socket, watchdog_s=config.watchdog_s)
        self._watchdog = Watchdog(self._notifier)
        self._instance: Instance | None = None
        self._ledger: Ledger | None = None
        self._control: ControlServer | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self, *, paused: bool = False) -> AsyncIterator[None]:
        """Open and bring up; close at the end of the block. ``paused``: what is queued stays so."""
        try:
            await self.open()
            if paused:
                self.core.router.pause()
            await self.bring_up()
            yield
        finally:
            await self.close()

    async def open(self) -> None:
        """Lock, ledger, socket: what answers `status`. Raises ``InstanceHeld``, ``LedgerError``, ``ControlError``."""
        places = self.config.places
        make_folders(places)  # the runtime folder goes with every reboot
        self._instance = Instance.acquire(places, self.clock)
        self._ledger = await self._whole_ledger()
        await Recorder(self._ledger).note(SessionStarted(boot=self.boot, pid=os.getpid()))
        self._core = await build_core(
            self.config,
            ledger=self._ledger,
            clock=self.clock,
            boot=self.boot,
            provider=self.provider(),
            lag_ms=self.lag.now_ms,
        )
        self._own(asyncio.create_task(self._follow(self._core), name="op table"))
        self._control = ControlServer(
            api=ServiceApi(self), path=places.socket, settings=self.config.settings.control, token=renew(places)
        )
        await self._control.start()

    async def _whole_ledger(self) -> Ledger:
        """The record, compared with the heads that were signed. Raises ``ChainBroken`` where it lacks one."""
        reading = asyncio.create_task(self.heads.read())  # git takes as long as the file
        try:
            ledger = await self.open_ledger()
        finally:
            kept = await reading
        try:
            await self.heads.refuse_missing_head(ledger, kept)
        except OuroError:
            await ledger.close()
            raise
        return ledger

    # --- what reaches outside the process; a subclass may bring its own ---

    async def open_ledger(self) -> Ledger:
        """The record of this repository, opened for writing."""
        places = self.config.places
        return await Ledger.open(
            places.ledger, repo_id=places.repo_id, clock=self.clock, settings=self.config.settings.ledger
        )

    def effects(self, git: Git) -> Effects:
        """What writes to the owner's repository."""
        from governance.changes.effects import Effects

        return Effects(git)

    def provider(self) -> Provider:
        """The model that the settings name."""
        return provider_of(self.config)

    # --- the parts: each raises ``ControlError`` until it is there ---

    @property
    def core(self) -> Core:
        return _started(self._core)

    @property
    def runtime(self) -> Runtime:
        return _started(self._runtime)

    @property
    def sensors(self) -> SensorManager:
        return _started(self._sensors)

    @property
    def has_runtime(self) -> bool:
        """True once the sandbox and the test environment were looked for."""
        return self._runtime is not None

    @property
    def has_sensors(self) -> bool:
        """True once recovery is over: from then on work is let in."""
        return self._sensors is not None

    @property
    def known(self) -> bool:
        """True once the table holds the newest ops of earlier boots too."""
        return self._known.is_set()

    async def _table_is_known(self) -> None:
        """Wait until the newest ops are in the table. Raises what kept them from it."""
        known = asyncio.create_task(self._known.wait())
        try:
            following = next(task for task in self._tasks if task.get_name() == "op table")
            await asyncio.wait({known, following}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            known.cancel()

    async def bring_up(self) -> None:
        """Build the runtime, recover, then let work in. What is missing becomes a reason, not a failure."""
        core = self.core
        await core.repository.check()
        await asyncio.to_thread(_load)
        from daemon.app.runtime import build_runtime, find_tests
        from daemon.app.sensors import build_sensor_manager
        from daemon.lifecycle.recovery import Recovery

        tests = await find_tests(core, runner_type=self.runner_type)
        self._runtime = await build_runtime(core, tests, effects=self.effects(core.git))
        await self._runtime.start_servers()
        notes = await Recovery(core=core, changes=self._runtime.changes).run()
        for note in notes:
            logger(__name__).info("recovered", what=note)
        await self._table_is_known()
        self.reasons = await self._missing()
        self.life = Life.DEGRADED if self.reasons else Life.ACTIVE
        self._sensors = build_sensor_manager(core, lambda: self.runtime.tests)
        self._own(asyncio.create_task(self._work(), name="pool"))
        self._own(asyncio.create_task(self._keep_looking(), name="second looks"))
        self._own(asyncio.create_task(core.health.run(), name="health"))
        await Recorder(core.ledger).note(
            SessionReady(boot=self.boot, state=self.life.value, reasons=self.reasons, recovered=notes)
        )
        self._notifier.ready(self.life.value)
        self._watchdog.start()

    async def _missing(self) -> tuple[str, ...]:
        core = self.core
        health = await core.provider.health()
        problem = "" if health.ready else health.detail
        core.health.report_provider(problem)
        found = (self.runtime.tests.problem, problem)
        return (*(reason for reason in found if reason), *self._faults)

    async def look_again(self, *, probe: bool) -> None:
        """Check again what a repair needs. A change is recorded before status shows it.

        ``probe``: also look for sandbox and tests' environment where there were none, which takes a second.
        """
        ledger = self.core.ledger
        async with self._looking:
            if self.life not in (Life.ACTIVE, Life.DEGRADED) or ledger.read_only:
                return
            if probe and self.runtime.tests.problem:
                await self._rebuild_runtime()
            reasons = await self._missing()
            if reasons == self.reasons or self.life not in (Life.ACTIVE, Life.DEGRADED):
                return
            life = Life.DEGRADED if reasons else Life.ACTIVE
            try:
                await Recorder(ledger).note(SessionStateChanged(boot=self.boot, state=life.value, reasons=reasons))
            except LedgerError:
                return  # nothing changes unrecorded; status says why the ledger takes no entry
            self.life, self.reasons = life, reasons

    async def _rebuild_runtime(self) -> None:
        """Look for sandbox and test environment again; where something else is found, replace the runtime.

        Ops in progress end with the old one; parked ones are taken up by the new one, as after a start.
        """
        from daemon.app.runtime import build_runtime, find_tests

        core, old = self.core, self.runtime
        tests = await find_tests(core, runner_type=self.runner_type)
        if tests.problem != old.tests.problem:
            self._replacement = await build_runtime(core, tests, effects=self.effects(core.git))
            old.pool.stop()
            await old.pool.stopped.wait()

    async def _keep_looking(self) -> None:
        """Second looks ride on health's timer: a daemon at rest has no other."""
        health, last = self.core.health, self.clock.monotonic()
        while True:
            await health.next()
            if self.clock.monotonic() - last < self.config.settings.service.recheck_s:
                continue
            last = self.clock.monotonic()
            await self.look_again(probe=True)
            if await self._would_free_memory():
                logger(__name__).info("restart", why="the model was dropped and nothing is to be done")
                self.restart = True
                self.stopping.set()

    async def _would_free_memory(self) -> bool:
        """True when a restart would free a dropped model's memory and nothing is in progress."""
        core = self.core
        if not (isinstance(core.provider, Heavy) and core.provider.left_behind):
            return False
        attended = self._control is not None and self._control.attended
        return not (attended or self._live()) and await core.router.idle()

    async def _work(self) -> None:
        """Run the pool, and the next one when the runtime is replaced. A fault of the ledger ends the work."""
        try:
            await self.runtime.pool.run()
            while self._replacement is not None and self.life is not Life.STOPPING:
                old, self._runtime, self._replacement = self.runtime, self._replacement, None
                await old.servers.stop()
                await self.runtime.start_servers()
                await self.runtime.pool.run()
        except* OuroError as errors:
            problem = str(errors.exceptions[0])
            self._fail(problem)
            logger(__name__).error("work.ended", problem=problem)

    def _fail(self, fault: str) -> None:
        self._faults = (*self._faults, fault)
        self.life, self.reasons = Life.DEGRADED, (*self.reasons, fault)

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.append(task)
        task.add_done_callback(self.lost)

    def lost(self, task: asyncio.Task[None]) -> None:
        """Show a task that ended by a fault in status and log it."""
        if task.cancelled() or task.exception() is None or self.life is Life.STOPPING:
            return
        why = f"{task.get_name()} has ended: {task.exception()}"
        self._fail(f"{why}. Restart the daemon.")
        logger(__name__).error("task.lost", task=task.get_name(), problem=why)

    async def _follow(self, core: Core) -> None:
        """Fill the table, keep it current; hand every entry to who watches in this process."""
        ledger, table, history = core.ledger, core.table, core.history
        async with ledger.subscribe() as entries:
            table.seq = ledger.head.seq  # what is older is read back, what is newer comes by subscription
            await history.read_back()
            self._known.set()
            async for entry in entries:
                if entry.seq > table.seq + 1:  # fallen behind: the ledger still has what was missed
                    async for missed in ledger.slices(after=table.seq):
                        for each in missed:
                            await history.follow(each)
                await history.follow(entry)
                if self._live():
                    self.lag.start()
                else:
                    self.lag.stop()
                if self.on_event is not None:
                    self.on_event(Event(cursor=entry.seq, entry=entry, op=entry.op_id))

    async def close(self) -> None:
        """Intake, ops, socket, ledger: each stage has its own time and names what was late."""
        self.life = Life.STOPPING
        self._notifier.stopping()
        self._watchdog.stop()
        try:
            await self._stop_work()
            if self._ledger is not None and not self._ledger.read_only:
                await self._end_session(self._ledger)
        finally:
            await self._let_go()

    async def _end_session(self, ledger: Ledger) -> None:
        if problem := await self.heads.end_session(ledger, self.boot):
            logger(__name__).warning("heads.not_kept", problem=problem)

    async def _stop_work(self) -> None:
        """Sensors, ops, socket, model, in this order."""
        runtime, limits = self._runtime, self.config.settings.service
        if self._sensors is not None:
            await self._stage("sensors", self._sensors.stop(), limits.stop_sensors_s)
        if runtime is not None:
            runtime.pool.stop()
            if not await self._ops_end_by_themselves(limits.stop_grace_s):
                if live := self._live():
                    self.say(f"stopping: ending {', '.join(map(short_of, live))} now")
                runtime.pool.cancel_all("the daemon stopped")
                await self._stage("cancelled ops", self._ops_ended(), limits.stop_cancel_s)
        if self._control is not None:
            await self._stage("control socket", self._control.close(), limits.stop_sensors_s)
        if runtime is not None:
            await self._stage("MCP servers", runtime.servers.stop(), limits.stop_cancel_s)
        if self._core is not None:
            await self._stage("provider", self._core.provider.aclose(), limits.stop_cancel_s)

    async def _let_go(self) -> None:
        """The ledger's threads, our tasks and the lock, whatever went wrong before: nothing may keep the process."""
        self.lag.stop()
        if self._runtime is not None:
            await self._runtime.servers.stop()
        if self._ledger is not None:
            await self._ledger.close()
        if self._core is not None:
            await self._core.aclose()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._instance is not None:
            self._instance.release()
        self.life = Life.INACTIVE

    @property
    def working(self) -> frozenset[asyncio.Task[None]]:
        """The task that serves ops, once there is one. It ends before a stop only when nothing can be recorded."""
        return frozenset(t for t in self._tasks if t.get_name() == "pool")

    async def _ops_ended(self) -> None:
        if self.working:
            await asyncio.wait(self.working)

    async def _ops_end_by_themselves(self, limit_s: float) -> bool:
        """Wait for what runs; False when the grace is over, or a second signal ends it."""
        ended = asyncio.create_task(self._ops_ended())
        hurry = asyncio.create_task(self.stops.hurry.wait())
        try:
            await asyncio.wait({ended, hurry}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            return ended.done()
        finally:
            ended.cancel()
            hurry.cancel()

    def _live(self) -> tuple[str, ...]:
        return () if self._runtime is None else tuple(self._runtime.orchestrator.live)

    def say(self, text: str) -> None:
        """A sentence to who watches in this process."""
        if self.on_event is not None:
            self.on_event(Event(cursor=0, note=text))

    async def _stage(self, name: str, work: Awaitable[None], limit_s: float) -> bool:
        """Run one stage of the stop; False when it was late."""
        try:
            await asyncio.wait_for(work, limit_s)
        except TimeoutError:
            if self.on_event is not None:  # shown in a terminal: a sentence, no log line
                self.say(f"stopping: {name} did not end within {limit_s:g} s")
            else:
                logger(__name__).warning("stop.late", stage=name, limit_s=limit_s)
            return False
        return True


def waiting_for(ops: Collection[str], limit_s: float) -> str:
    """Pure: what a person reads after the first signal."""
    if not ops:
        return "stopping"
    names = ", ".join(short_of(op) for op in ops)
    return f"stopping: waiting up to {limit_s:g} s for {names}; once more ends it now"


class Stops:
    """The signals of one boot. ``asked`` after the first one, ``hurry`` after the second."""

    def __init__(self, *, live: Callable[[], Collection[str]], limit_s: float, say: Callable[[str], None]) -> None:
        self._live = live
        self._limit_s = limit_s
        self._say = say
        self.asked = False
        self.hurry = asyncio.Event()

    @contextmanager
    def handle_signals(self, stopping: asyncio.Event) -> Iterator[None]:
        """While the block runs a signal sets ``stopping``."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._came, stopping)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def _came(self, stopping: asyncio.Event) -> None:
        if self.asked:
            self.hurry.set()
            return
        self.asked = True
        stopping.set()
        self._say(waiting_for(self._live(), self._limit_s))


def _load() -> None:
    """Import the modules of the runtime, in a thread: the socket answers meanwhile."""
    for name in ("daemon.app.runtime", "daemon.app.sensors", "daemon.lifecycle.recovery"):
        import_module(name)


def _started(part: T | None) -> T:
    if part is None:
        raise ControlError("The daemon is still starting.", remedy="Ask again in a second.")
    return part
