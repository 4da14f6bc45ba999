"""A sensor looks for one kind of work; its spec declares what the rest of the product derives from it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ledger.clock import stamp
from ledger.errors import OuroError
from ledger.ids import new_signal_id
from ledger.sources import SourceFacts
from ledger.vocabulary import Check, Closure, Evidence, Frozen, Signal, Source, Urgency
from sensors.bus import Bus, Topic, until_quiet, wake_at
from sensors.closure_checks import AnswerCheck, ClosurePorts, MarkFile
from sensors.memory import SensorMemory
from sensors.ports import SensorPorts
from sensors.watch.named import Named

S = TypeVar("S", bound=BaseModel)
Stricter = Literal["lower", "higher", "on", "off", "grow"]
"""Which way a repository may change a setting; ``grow``: it may add names to a list."""

TRAILER = "Ouro-Op"
NOT_YET = "has not looked yet"
GOAL_CHARS = 1_500


class SensorState(Frozen):
    """What `ouro status` shows of a sensor."""

    source: Source
    line: str  # one clear sentence
    running: bool = False
    problem: str = ""  # why the last look gave no answer; ``remedy`` says what to do
    remedy: str = ""
    note: str = ""  # something the owner may want to know, without any work following from it


class SensorSettings(BaseModel):
    """Base of all settings of sensors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DocsRow(NamedTuple):
    """A row of the table in docs/sensors.md: what is signalled, when it counts as closed, whether a person decides."""

    sees: str
    closed_when: str
    needs_yes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorSpec(Generic[S]):
    """The declaration of a sensor, in the ``__init__.py`` of its folder.

    ``sensor``: the class that implements it, as ``module:name``; imported when it is needed, so that reading settings
    stays cheap. ``section``: dotted name of its settings, ``sensors.<source>`` when empty. ``tighten``: which settings
    a repository may make stricter. ``problems_only``: `ouro status` shows its line only when there is a problem.
    """

    source: Source
    facts: SourceFacts
    settings: type[S]
    sensor: str
    docs: tuple[DocsRow, ...]
    section: str = ""
    tighten: Mapping[str, Stricter] = field(default_factory=dict)
    problems_only: bool = False

    @property
    def path(self) -> str:
        """The dotted name of its settings."""
        return self.section or f"sensors.{self.source.value}"

    def settings_in(self, root: BaseModel) -> S:
        """Its section of all settings."""
        found: object = root
        for name in self.path.split("."):
            found = getattr(found, name)
        if not isinstance(found, self.settings):
            raise TypeError(f"{self.path} is no {self.settings.__name__}")
        return found

    def load(self) -> type[Sensor[S]]:
        """Import the class that implements it."""
        module, _, name = self.sensor.partition(":")
        found: type[Sensor[S]] = getattr(import_module(module), name)
        return found


class Sensor(ABC, Generic[S]):
    """Base class of sensors. A sensor costs nothing while nothing happens: an event wakes it, and it looks.

    A subclass names its ``spec``, implements one look (``_scan``), and decides in ``start`` when to look.

    ``checks``: the kinds of closure checks that it answers. ``marks``: kinds that the daemon fulfils by a mark in the
    file. ``tables``: SQL of tables that it keeps beside the record. ``first_line``: its line in status before the first
    look.
    """

    spec: ClassVar[SensorSpec[Any]]
    checks: ClassVar[Mapping[type[Check], AnswerCheck]] = {}
    marks: ClassVar[Mapping[type[Check], MarkFile]] = {}
    tables: ClassVar[tuple[str, ...]] = ()
    first_line: ClassVar[str] = NOT_YET

    @classmethod
    def closure_checks(cls, settings: S, ports: ClosurePorts) -> Mapping[type[Check], AnswerCheck]:
        """The checks that it answers, for those that need settings or ports."""
        return cls.checks

    @classmethod
    def places(cls, settings: S, top: str) -> Named:
        """Files and folders beside the source that the watcher follows."""
        return Named()

    @classmethod
    def reason_to_rest(cls, settings: S) -> str:
        """A line for status when these settings leave it nothing to do; empty otherwise."""
        return ""

    def __init__(self, *, ports: SensorPorts, settings: S) -> None:
        self._ports = ports
        self._settings = settings
        self._repository = ports.repository
        self._ledger = ports.ledger
        self._clock = ports.clock
        self._memory = SensorMemory(ledger=ports.ledger, clock=ports.clock, sensor=self.source)
        self._turn = asyncio.Lock()
        self._state = SensorState(source=self.source, line=self.first_line)

    @property
    def source(self) -> Source:
        return self.spec.source

    @abstractmethod
    async def start(self, bus: Bus) -> None:
        """Subscribe, look once, and continue until cancelled. The caller's task group owns this."""

    @abstractmethod
    async def _scan(self) -> tuple[Signal, ...]:
        """One look: the signals that were submitted. Raises ``OuroError`` where nothing can be looked at."""

    async def scan_once(self) -> tuple[Signal, ...]:
        """Look now, whatever happened. Raises what the look raises."""
        async with self._turn:
            return await self._scan()

    def state(self) -> SensorState:
        return self._state

    # --- for subclasses: when to look, and what status shows ---

    async def _look(self) -> None:
        """Look now; an obstacle is shown, and the next event is another chance."""
        with self._shown():
            await self.scan_once()

    async def _look_after(self, bus: Bus, *topics: Topic, quiet_s: float, most_s: float) -> None:
        """Look once, then when events of ``topics`` have come, and none for ``quiet_s`` (or after ``most_s``)."""
        wake = asyncio.Event()
        wake.set()
        async with bus.subscribe(*topics) as events, asyncio.TaskGroup() as group:
            group.create_task(wake_at(events, wake))
            while True:
                await wake.wait()
                await until_quiet(wake, quiet_s=quiet_s, most_s=most_s)
                await self._look()

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """An ``OuroError`` ends the block, and is shown in status."""
        try:
            yield
        except OuroError as error:
            self._say(str(error), problem=str(error))

    def _say(self, line: str, *, problem: str = "", remedy: str = "", running: bool = False) -> tuple[()]:
        """Set what status shows. Returns no signal, so that a look can end with it."""
        self._state = SensorState(source=self.source, line=line, problem=problem, remedy=remedy, running=running)
        return ()

    # --- for subclasses: signals ---

    def _new_signal(
        self,
        *,
        goal: str,
        key: str,
        closure: Closure,
        base: str,
        targets: tuple[str, ...] = (),
        confidence_bp: int = 10_000,
        evidence: tuple[Evidence, ...] = (),
        depth: int = 0,
        urgency: Urgency | None = None,
    ) -> Signal:
        """A signal of this sensor, without secrets. ``urgency``: where it is not the source's own."""
        redact = self._ports.redact
        return Signal(
            id=new_signal_id(),
            source=self.source,
            goal=redact(goal)[:GOAL_CHARS],
            targets=targets,
            urgency=self.spec.facts.urgency if urgency is None else urgency,
            confidence_bp=confidence_bp,
            evidence=tuple(each.model_copy(update={"evidence": redact(each.evidence)}) for each in evidence),
            key=key,
            closure=closure,
            base=base,
            depth=depth,
            seen_at=stamp(self._clock.now()),
        )

    async def _send(self, signal: Signal, *keys: str) -> None:
        """Submit a signal, and remember it under ``keys``."""
        receipt = await self._ports.emit(signal)
        for key in keys or (signal.key,):
            await self._memory.record_emitted(key, signal.id, receipt.status)

    async def _depth_at(self, commit: str, path: str = "") -> int:
        """One more than the depth of the op that made ``commit``, if one of ours did; else 0. With ``path``: of the
        commit, among those that ``commit`` contains, which changed that file last."""
        trailers = await self._repository.trailers(commit, path)
        op_id = trailers.get(TRAILER, "").partition("\n")[0].strip()
        return await self._ports.depth_of(op_id) + 1 if op_id else 0


class FileSensorSettings(SensorSettings):
    """Bounds that all sensors of committed files have."""

    debounce_s: float = Field(
        0.0, ge=0, description="It looks when HEAD has not moved for this long, on top of the watcher's own debounce."
    )
    debounce_most_s: float = Field(30.0, gt=0, description="It looks after this long even if HEAD keeps moving.")
    per_look: int = Field(3, ge=0, description="Most signals of one look; what is left over waits for the next commit.")
    per_day: int = Field(10, ge=0, description="Most signals within 24 hours.")
    most_files: int = Field(2_000, ge=1, description="Most files of one look; the others wait for the next commit.")
    largest_bytes: int = Field(512 * 1024, ge=1, description="Larger files are not looked at.")
