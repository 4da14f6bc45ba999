"""What health knows of the machine, as a person sees it."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.control.messages import MachineView, PartView
from daemon.lifecycle.checks import Check
from ledger.places import Places
from sensors.health.health import MachineReading
from sensors.health.levels import Condition, describe_level, judge_levels
from sensors.health.sample import Gauges


def gauges_for(places: Places) -> Gauges:
    """The machine that a repository and the daemon's record of it lie on."""
    return Gauges(folders=(places.state, places.repo))


def machine_view(seen: Sequence[MachineReading]) -> MachineView:
    """Pure: ``seen`` is what is kept, oldest first."""
    if not seen:
        return MachineView()
    sample, vitals = seen[-1]
    return MachineView(
        state=vitals.condition.value,
        score=vitals.score,
        lowest=min(each.vitals.score for each in seen),
        samples=len(seen),
        parts=tuple(
            PartView(name=part.value, level=level.name, said=describe_level(sample, part))
            for part, level in vitals.levels.items()
        ),
    )


def machine_check(places: Places) -> Check:
    """For `ouro doctor`: one look, now."""
    sample = gauges_for(places).read(at="")
    vitals = judge_levels(sample)
    worst = "; ".join(f"{part.value} {describe_level(sample, part)}" for part, level in vitals.levels.items() if level)
    good = vitals.condition is Condition.HEALTHY
    detail = f"{vitals.condition.value}, score {vitals.score}{': ' if worst else ''}{worst}"
    remedy = "" if good else "Work that nobody waits for is put off while this lasts."
    return Check(name="machine", ok=good, detail=detail, remedy=remedy)
