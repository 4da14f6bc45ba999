"""Fields of a model call's ledger entry, from the report that comes with the answer. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from kernel.canary import CollapseDetected
from kernel.provider import Infill, Report

COLLAPSED = "collapsed"
Fields = dict[str, Any]  # texts and whole numbers


def of_report(report: Report | None) -> Fields:
    """Depth (thousandths), exit reason, proximity and signal of a report; empty without one."""
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
    """Caution and temperature of a retry after a collapse; empty for any other call."""
    if not caution_milli:
        return {}
    return {"caution_milli": caution_milli, "temperature_milli": round(1000 * temperature)}


def of_infills(infills: Sequence[Infill]) -> Fields:
    """One combined report: mean depth, most frequent exit reason, and the highest proximity with its signal."""
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
    """The healthiest report of a batch, since one sound answer is enough; None if any answer has no report."""
    if not all(infill.report is not None for infill in infills):
        return None
    reports = [infill.report for infill in infills if infill.report is not None]
    return min(reports, key=lambda report: (report.alarm, report.proximity_milli), default=None)


def sound(infills: Sequence[Infill]) -> tuple[Infill, ...]:
    """The infills that did not collapse; a truncated answer is not worth a test run."""
    return tuple(i for i in infills if i.finish != COLLAPSED and not (i.report is not None and i.report.alarm))


def of_collapse(error: Exception) -> Fields:
    """The canary reading of a collapse; empty for other errors."""
    if not isinstance(error, CollapseDetected):
        return {}
    return {"exit": COLLAPSED, "proximity_milli": round(1000 * error.proximity), "signal": error.signal}


def problem_of(error: Exception) -> str:
    """The ``problem`` field of a call that ended with this provider error."""
    return COLLAPSED if isinstance(error, CollapseDetected) else str(error)
