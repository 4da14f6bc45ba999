"""The machine's health for status and ``ouro doctor``."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.control.messages import MachineView, PartView
from daemon.lifecycle.checks import Check
from ledger.places import Places
from sensors.health.health import MachineReading
from sensors.health.levels import Condition, describe_level, judge_levels
from sensors.health.sample import Gauges


def gauges_for(places: Places) -> Gauges:
    """Gauges that measure the disks of the state folder and the repository."""
    return Gauges(folders=(places.state, places.repo))


def machine_view(readings: Sequence[MachineReading]) -> MachineView:
    """The view of the readings that are kept, oldest first. Pure."""
    if not readings:
        return MachineView()
    sample, vitals = readings[-1]
    return MachineView(
        state=vitals.condition.value,
        score=vitals.score,
        lowest=min(each.vitals.score for each in readings),
        samples=len(readings),
        parts=tuple(
            PartView(name=part.value, level=level.name, said=describe_level(sample, part))
            for part, level in vitals.levels.items()
        ),
    )


def machine_check(places: Places) -> Check:
    """Measure the machine once, for ``ouro doctor``."""
    sample = gauges_for(places).read(at="")
    vitals = judge_levels(sample)
    worst = "; ".join(f"{part.value} {describe_level(sample, part)}" for part, level in vitals.levels.items() if level)
    good = vitals.condition is Condition.HEALTHY
    detail = f"{vitals.condition.value}, score {vitals.score}{': ' if worst else ''}{worst}"
    remedy = "" if good else "Background work is postponed while this lasts."
    return Check(name="machine", ok=good, detail=detail, remedy=remedy)
