"""What a model call reports of itself, as fields of its entry. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from kernel.canary import CollapseDetected
from kernel.provider import Infill, Report

COLLAPSED = "collapsed"
Fields = dict[str, Any]  # texts and whole numbers


def of_report(report: Report | None) -> Fields:
    """Depth in thousandths, why it ended, and how close it came to a collapse. Nothing without a report."""
    if report is None:
        return {}
    fields: Fields = {
        "depth_milli": report.depth_milli,
        "exit": report.exit,
        "proximity_milli": report.proximity_milli,
        "signal": report.signal,
    }
    return fields if report.contraction_milli is None else {**fields, "contraction_milli": report.contraction_milli}


def careful(caution_milli: int, temperature: float) -> Fields:
    """How a call is asked that a collapse came before; nothing for any other."""
    if not caution_milli:
        return {}
    return {"caution_milli": caution_milli, "temperature_milli": round(1000 * temperature)}


def of_infills(infills: Sequence[Infill]) -> Fields:
    """One report for all: the mean depth, what most ended with, and the one that came closest to a collapse."""
    reports = [infill.report for infill in infills if infill.report is not None]
    if not reports:
        return {}
    worst = max(reports, key=lambda report: report.proximity_milli)
    return of_report(
        Report(
            depth_milli=round(sum(report.depth_milli for report in reports) / len(reports)),
            exit=Counter(report.exit for report in reports).most_common(1)[0][0],
            proximity_milli=worst.proximity_milli,
            signal=worst.signal,
        )
    )


def calmest(infills: Sequence[Infill]) -> Report | None:
    """What a batch counts as: as long as one of its answers is sound, it has not collapsed."""
    if not all(infill.report is not None for infill in infills):
        return None
    reports = [infill.report for infill in infills if infill.report is not None]
    return min(reports, key=lambda report: (report.alarm, report.proximity_milli), default=None)


def sound(infills: Sequence[Infill]) -> tuple[Infill, ...]:
    """Those that have not collapsed: a part of an answer is none, whoever would test it."""
    return tuple(i for i in infills if i.finish != COLLAPSED and not (i.report is not None and i.report.alarm))


def of_collapse(error: Exception) -> Fields:
    """The reading that ended a call; nothing when something else did."""
    if not isinstance(error, CollapseDetected):
        return {}
    return {"exit": COLLAPSED, "proximity_milli": round(1000 * error.proximity), "signal": error.signal}


def problem_of(error: Exception) -> str:
    """What stands in the entry of a call that a provider's ``error`` ended."""
    return COLLAPSED if isinstance(error, CollapseDetected) else str(error)
