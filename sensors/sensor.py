"""A sensor watches for one kind of condition; its spec declares what the rest of the product derives from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ledger.sources import SourceFacts
from ledger.vocabulary import Check, Frozen, Signal, Source, SourceClass, Urgency
from sensors.bus import Bus
from sensors.closure_checks import AskCheck, ClosurePorts, MarkFile
from sensors.ports import DaemonPorts
from sensors.watch.named import Named

S = TypeVar("S", bound=BaseModel)
Stricter = Literal["lower", "higher", "on", "off", "grow"]
"""Which way a repository may change a setting; ``grow``: it may add names to a list."""


class SensorState(Frozen):
    """What `ouro status` shows of a sensor."""

    source: Source
    line: str  # one clear sentence
    running: bool = False
    problem: str = ""  # why the last look gave no answer; ``remedy`` says what to do
    remedy: str = ""
    note: str = ""  # something the owner may want to know, without any work following from it


class Sensor(Protocol):
    """A sensor costs nothing while nothing happens: it is woken by the bus."""

    @property
    def source(self) -> Source: ...

    async def start(self, bus: Bus) -> None:
        """Subscribe, look once, and go on until cancelled. The caller's task group owns this."""
        ...

    async def scan_once(self) -> tuple[Signal, ...]:
        """Look now, whatever happened; returns the signals that were submitted."""
        ...

    def state(self) -> SensorState: ...


class FileSensorSettings(BaseModel):
    """Bounds that all sensors of committed files have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    debounce_s: float = Field(
        0.0, ge=0, description="It looks when HEAD has not moved for this long, on top of the watcher's own debounce."
    )
    debounce_most_s: float = Field(30.0, gt=0, description="It looks after this long even if HEAD keeps moving.")
    per_look: int = Field(3, ge=0, description="Most signals of one look; what is left over waits for the next commit.")
    per_day: int = Field(10, ge=0, description="Most signals within 24 hours.")
    most_files: int = Field(2_000, ge=1, description="Most files of one look; the others wait for the next commit.")
    largest_bytes: int = Field(512 * 1024, ge=1, description="Larger files are not looked at.")


class DocsRow(NamedTuple):
    """A row of the table in docs/sensors.md: what is signalled, when it counts as closed, whether a person decides."""

    sees: str
    closed_when: str
    needs_yes: str


def no_checks(settings: Any, ports: ClosurePorts) -> Mapping[type[Check], AskCheck]:
    """For a sensor whose signals are closed by tests or by the owner's yes."""
    return {}


def no_marks() -> Mapping[type[Check], MarkFile]:
    """For a sensor whose checks are made true by the op alone."""
    return {}


def no_tables() -> tuple[str, ...]:
    """For a sensor that keeps no table of its own in the ledger's database."""
    return ()


def no_places(settings: Any, top: str) -> Named:
    """For a sensor that needs nothing watched beside the source."""
    return Named()


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorSpec(Generic[S]):
    """The declaration of a sensor, in the ``__init__.py`` of its folder. Functions import the sensor when called, so
    that reading settings stays cheap.

    ``rank``: signals of a lower one run first. ``from_outside``: the words of its signals were not written in this
    repository. ``section``: dotted name of its settings, ``sensors.<source>`` when empty. ``tighten``: which settings a
    repository may make stricter. ``closure_checks``: kinds of checks that it answers. ``marks``: kinds that the daemon
    makes true by a mark in the file. ``tables``: SQL of tables that it keeps beside the record. ``places``: files and
    folders beside the source to be watched. ``build`` returns the sensor, or a line for status why it is not needed.
    """

    source: Source
    rank: int
    urgency: Urgency
    routed_as: SourceClass
    settings: type[S]
    build: Callable[[DaemonPorts, S], Sensor | str]
    docs: tuple[DocsRow, ...]
    from_outside: bool = False
    section: str = ""
    tighten: Mapping[str, Stricter] = field(default_factory=dict)
    closure_checks: Callable[[S, ClosurePorts], Mapping[type[Check], AskCheck]] = no_checks
    marks: Callable[[], Mapping[type[Check], MarkFile]] = no_marks
    tables: Callable[[], tuple[str, ...]] = no_tables
    places: Callable[[S, str], Named] = no_places

    @property
    def facts(self) -> SourceFacts:
        return SourceFacts(
            routed_as=self.routed_as, rank=self.rank, urgency=self.urgency, from_outside=self.from_outside
        )

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
