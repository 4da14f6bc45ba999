"""The sensors of work that no failing test asks for: those that the owner has switched on, each in its own task."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from daemon.adapters.other_repositories import OtherRepositories
from daemon.adapters.people import People
from daemon.adapters.ports import depth_of
from daemon.house import House
from daemon.views.told import ONLY_FILLS, cannot_talk
from governance.irongate.secrets import redact
from ledger.vocabulary import Source
from sensors.backlog import Backlog
from sensors.changed_files import Doors
from sensors.cross_repo_drift import CrossRepoDrift
from sensors.doc_staleness import DocStaleness
from sensors.doors import Emit
from sensors.named_files import placed
from sensors.opportunity_miner import OpportunityMiner
from sensors.performance_regression import PerformanceRegression
from sensors.proactive_exploration import ProactiveExploration
from sensors.runner import SensorRunner
from sensors.runtime_health import RuntimeHealth
from sensors.scheduled import ScheduledTrigger
from sensors.sensor import Sensor
from sensors.todo_scanner import TodoScanner
from sensors.vision import Vision
from sensors.watch_named import Refs
from sensors.web_intelligence import WebIntelligence
from tools.ocr import SandboxedOcr

NOTHING_SCHEDULED = "on; nothing is scheduled (sensors.scheduled.entries)"


def background_sensors(house: House, emit: Emit, follow: Callable[[Refs], None]) -> tuple[Sensor, ...]:
    """Made for one boot; ``follow`` has branches of another repository watched.

    A new one is a line here, and a section in ``sensors/settings.py``.
    """
    settings = house.config.settings.sensors
    top = house.config.places.repo
    doors = Doors(
        repository=house.repository,
        emit=emit,
        ledger=house.ledger,
        clock=house.clock,
        depth_of=lambda op_id: depth_of(house.ledger, op_id),
        redact=redact,
        unavailable=lambda: ONLY_FILLS if cannot_talk(house.provider.capabilities) else "",
    )
    router = house.router
    made: tuple[tuple[bool, Sensor], ...] = (
        (settings.backlog.enabled, Backlog(doors=doors, settings=settings.backlog)),
        (settings.todo_scanner.enabled, TodoScanner(doors=doors, settings=settings.todo_scanner)),
        (settings.doc_staleness.enabled, DocStaleness(doors=doors, settings=settings.doc_staleness)),
        (
            settings.runtime_health.enabled,
            RuntimeHealth(
                doors=doors,
                tests=house.tests,
                settings=settings.runtime_health,
                pressed=lambda: house.health.vitals.surroundings().pressed_by,
            ),
        ),
        (
            settings.proactive_exploration.enabled,
            ProactiveExploration(
                doors=doors, occupied=lambda: occupied(house), settings=settings.proactive_exploration
            ),
        ),
        (settings.opportunity_miner.enabled, OpportunityMiner(doors=doors, settings=settings.opportunity_miner)),
        (
            settings.performance_regression.enabled,
            PerformanceRegression(doors=doors, top=top, settings=settings.performance_regression),
        ),
        (
            settings.cross_repo_drift.enabled,
            CrossRepoDrift(
                doors=doors,
                elsewhere=OtherRepositories(places=house.config.places, env=house.config.env),
                follow=follow,
                settings=settings.cross_repo_drift,
            ),
        ),
        (settings.vision.enabled, vision(house, doors)),
        (
            settings.scheduled.enabled and bool(settings.scheduled.entries),
            ScheduledTrigger(doors=doors, known=router.knows, is_open=router.is_open, settings=settings.scheduled),
        ),
        (settings.web_intelligence.enabled, WebIntelligence(doors=doors, settings=settings.web_intelligence)),
    )
    return tuple(sensor for enabled, sensor in made if enabled)


async def occupied(house: House) -> str:
    """What speaks against looking for more to do: work, or a machine that is short of something."""
    if not await house.router.idle():
        return "there is work"
    return house.health.vitals.surroundings().pressed_by


def vision(house: House, doors: Doors) -> Vision:
    """With what reads pictures here."""
    settings, top = house.config.settings.sensors.vision, house.config.places.repo
    ocr = SandboxedOcr(
        program=settings.program,
        languages=settings.languages,
        limit_s=settings.limit_s,
        env=house.config.env,
        sandbox=lambda: house.choice.sandbox if house.choice else None,
        heavy=house.heavy,
    )
    folder = placed(settings.folder, str(top))
    return Vision(doors=doors, ocr=ocr, tests=house.tests, top=top, folder=folder, settings=settings)


class Background:
    """They and what runs them. :attr:`by_source` is for whoever asks one of them to look."""

    def __init__(self, house: House, emit: Emit, follow: Callable[[Refs], None]) -> None:
        self.people = People(house, emit)
        sensors = (*background_sensors(house, emit, follow), *self.people.sensors)
        self.by_source: Mapping[Source, Sensor] = {sensor.source: sensor for sensor in sensors}
        scheduled = house.config.settings.sensors.scheduled
        self.resting: Mapping[Source, str] = (
            {Source.SCHEDULED: NOTHING_SCHEDULED} if scheduled.enabled and not scheduled.entries else {}
        )
        """What is on and has nothing to do."""
        self.runners = tuple(SensorRunner(sensor=sensor, ledger=house.ledger) for sensor in sensors)

    def notes(self) -> tuple[str, ...]:
        """A line for each that has something to say for itself in status."""
        states = [runner.state() for runner in self.runners]
        return tuple(f"{state.source.value}: {state.line}" for state in states if state.line)
