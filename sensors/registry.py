"""The list of sensors, and everything that is derived from it. A new sensor is its folder and a line in FOLDERS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, create_model

from ledger.sources import declare_source
from ledger.vocabulary import Check, Source
from sensors.closure_checks import AskCheck, ClosureEvaluator, ClosurePorts, MarkFile
from sensors.ports import DaemonPorts
from sensors.sensor import Sensor, SensorSpec, Stricter
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

for _spec in SPECS:
    declare_source(_spec.source, _spec.facts)


class _SensorSections(BaseModel):
    """The sensors of work that no failing test asks for."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def sections_of(specs: Sequence[SensorSpec[Any]]) -> type[BaseModel]:
    """The model of the settings section ``[sensors]``: a field for each spec whose settings lie there."""
    found = [(spec.path.rpartition("."), spec.settings) for spec in specs]
    fields: dict[str, Any] = {name: (model, model()) for (above, _, name), model in found if above == "sensors"}
    return create_model("SensorsSettings", __base__=_SensorSections, __doc__=_SensorSections.__doc__, **fields)


if TYPE_CHECKING:
    SensorsSettings = _SensorSections
else:
    SensorsSettings = sections_of(SPECS)

TIGHTEN: Mapping[str, Stricter] = {
    f"{spec.path}.{name}": direction for spec in SPECS for name, direction in spec.tighten.items()
}


def is_enabled(settings: BaseModel) -> bool:
    """The sensor's switch; one without a switch is always on."""
    return bool(getattr(settings, "enabled", True))


def closure_evaluator(root: BaseModel | None = None, ports: ClosurePorts = ClosurePorts()) -> ClosureEvaluator:  # noqa: B008
    """Answers every sensor's closure checks, those of disabled ones too. ``root``: all settings; None: the defaults."""
    checks: dict[type[Check], AskCheck] = {}
    marks: dict[type[Check], MarkFile] = {}
    for spec in SPECS:
        checks |= spec.closure_checks(spec.settings() if root is None else spec.settings_in(root), ports)
        marks |= spec.marks()
    return ClosureEvaluator(checks=checks, marks=marks)


def named_places(root: BaseModel, top: str) -> Named:
    """Files and folders beside the source that the watcher follows for enabled sensors."""
    each = [(spec, spec.settings_in(root)) for spec in SPECS]
    found = [spec.places(settings, top) for spec, settings in each if is_enabled(settings)]
    return Named(
        files=frozenset().union(*(named.files for named in found)),
        folders=tuple(folder for named in found for folder in named.folders),
    )


def tables() -> tuple[str, ...]:
    """SQL of every table that sensors keep beside the record."""
    from sensors import memory

    return (memory.SCHEMA, *(sql for spec in SPECS for sql in spec.tables()))


class BuiltSensors(NamedTuple):
    """The enabled sensors of one boot, and of those that have nothing to do the line for status."""

    sensors: Mapping[Source, Sensor]
    resting: Mapping[Source, str]


def build_sensors(ports: DaemonPorts, root: BaseModel) -> BuiltSensors:
    """Build every enabled sensor. ``root``: all settings."""
    sensors: dict[Source, Sensor] = {}
    resting: dict[Source, str] = {}
    for spec in SPECS:
        settings = spec.settings_in(root)
        if not is_enabled(settings):
            continue
        built = spec.build(ports, settings)
        if isinstance(built, str):
            resting[spec.source] = built
        else:
            sensors[spec.source] = built
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
