"""The list of sensors, and everything that is derived from it. A new sensor is its folder and a line in FOLDERS."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, create_model

from ledger.sources import declare_source
from ledger.vocabulary import Check, Source
from sensors import memory
from sensors.closure_checks import AnswerCheck, ClosureEvaluator, ClosurePorts, MarkFile
from sensors.ports import SensorPorts
from sensors.requests import deliveries
from sensors.roles import FreeTextSensor, SpeechSensor, SuiteSensor
from sensors.sensor import Sensor, SensorSettings, SensorSpec, Stricter
from sensors.watch.named import Named

FOLDERS = (
    "test_failure",
    "github_issue",
    "backlog",
    "todo",
    "docs",
    "opportunities",
    "runtime_health",
    "voice",
    "drift",
    "performance",
    "vision",
    "capability_gap",
    "scheduled",
    "exploration",
    "advisories",
    "intent",
)
SPECS: tuple[SensorSpec[Any], ...] = tuple(import_module(f"sensors.{folder}").SPEC for folder in FOLDERS)
M = TypeVar("M", bound=BaseModel)

for _spec in SPECS:
    declare_source(_spec.source, _spec.facts)


class SensorsSettings(SensorSettings):
    """The sensors of work that no failing test asks for."""


def with_sensors(base: type[M]) -> type[M]:
    """``base``, the model of all settings, with a field for the settings of each sensor: in the section ``sensors``, or
    at the top where its spec has such a ``section``."""
    tables: dict[str, dict[str, Any]] = {"": {}, "sensors": {}}
    for spec in SPECS:
        above, _, name = spec.path.rpartition(".")
        tables[above][name] = (spec.settings, spec.settings())
    section = create_model(
        "SensorsSettings", __base__=SensorsSettings, __doc__=SensorsSettings.__doc__, **tables["sensors"]
    )
    return create_model(base.__name__, __base__=base, __doc__=base.__doc__, sensors=(section, section()), **tables[""])


TIGHTEN: Mapping[str, Stricter] = {
    f"{spec.path}.{name}": direction for spec in SPECS for name, direction in spec.tighten.items()
}


def is_enabled(settings: BaseModel) -> bool:
    """The sensor's switch; one without a switch is always on."""
    return bool(getattr(settings, "enabled", True))


def closure_evaluator(root: BaseModel | None = None, ports: ClosurePorts = ClosurePorts()) -> ClosureEvaluator:  # noqa: B008
    """Answers every sensor's closure checks, those of disabled ones too. ``root``: all settings; None: the defaults."""
    checks: dict[type[Check], AnswerCheck] = {}
    marks: dict[type[Check], MarkFile] = {}
    for spec in SPECS:
        sensor = spec.load()
        checks |= sensor.closure_checks(spec.settings() if root is None else spec.settings_in(root), ports)
        marks |= sensor.marks
    return ClosureEvaluator(checks=checks, marks=marks)


def named_places(root: BaseModel, top: str) -> Named:
    """Files and folders beside the source that the watcher follows for enabled sensors."""
    each = [(spec, spec.settings_in(root)) for spec in SPECS]
    found = [spec.load().places(settings, top) for spec, settings in each if is_enabled(settings)]
    return Named(
        files=frozenset().union(*(named.files for named in found)),
        folders=tuple(folder for named in found for folder in named.folders),
    )


def tables() -> tuple[str, ...]:
    """SQL of every table that sensors keep beside the record."""
    return (memory.SCHEMA, deliveries.SCHEMA, *(sql for spec in SPECS for sql in spec.load().tables))


class BuiltSensors(NamedTuple):
    """The enabled sensors of one boot, and of those that have nothing to do the line for status."""

    sensors: Mapping[Source, Sensor[Any]]
    resting: Mapping[Source, str]

    @property
    def suite(self) -> SuiteSensor[Any]:
        """Raises ``LookupError`` where no listed sensor watches the suite."""
        found = next((sensor for sensor in self.sensors.values() if isinstance(sensor, SuiteSensor)), None)
        if found is None:
            raise LookupError("No sensor in FOLDERS has the role SuiteSensor.")
        return found

    @property
    def speech(self) -> SpeechSensor[Any] | None:
        """None: switched off."""
        return next((sensor for sensor in self.sensors.values() if isinstance(sensor, SpeechSensor)), None)

    @property
    def free_text(self) -> FreeTextSensor[Any] | None:
        """None: switched off."""
        return next((sensor for sensor in self.sensors.values() if isinstance(sensor, FreeTextSensor)), None)


def switch_of(role: type[Any]) -> str:
    """The setting that switches the sensor with this role (`sensors.roles`) on and off."""
    return next(f"{spec.path}.enabled" for spec in SPECS if issubclass(spec.load(), role))


def build_sensors(ports: SensorPorts, root: BaseModel) -> BuiltSensors:
    """Build every enabled sensor. ``root``: all settings."""
    sensors: dict[Source, Sensor[Any]] = {}
    resting: dict[Source, str] = {}
    for spec in SPECS:
        settings = spec.settings_in(root)
        if not is_enabled(settings):
            continue
        kind = spec.load()
        if reason := kind.reason_to_rest(settings):
            resting[spec.source] = reason
        else:
            sensors[spec.source] = kind(ports=ports, settings=settings)
    return BuiltSensors(sensors, resting)


def docs_table() -> str:
    """The table of sensors in docs/sensors.md."""
    rows = ["| sensor | signals | closed when | a person's yes |", "|---|---|---|---|"]
    for spec in SPECS:
        name = spec.path.rpartition(".")[2]
        switch = getattr(spec.settings(), "enabled", None)
        title = f"`{name}`" + ("" if switch is None else " (on)" if switch else " (off)")
        if spec.source.value != name:
            title += f", source `{spec.source.value}`"
        for number, row in enumerate(spec.docs):
            rows.append(f"| {title if not number else ''} | {' | '.join(row)} |".replace("|  |", "| |"))
    return "\n".join(rows)
