"""Functions that a commit makes too complex, duplicates, dead code."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.vocabulary import AllReached, Check, DuplicateGone, MetricBelow, Source, SourceClass, SymbolGone, Urgency
from sensors.closure_checks import AskCheck, ClosurePorts, on_file
from sensors.opportunities.settings import OpportunityMinerSettings
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec


def _build(ports: DaemonPorts, settings: OpportunityMinerSettings) -> Sensor:
    from sensors.opportunities.sensor import OpportunityMiner

    return OpportunityMiner(ports=ports, settings=settings)


def _closure_checks(settings: OpportunityMinerSettings, ports: ClosurePorts) -> Mapping[type[Check], AskCheck]:
    from sensors.opportunities.surveys import TreeSurvey, metric_answer, reached_answer

    survey = TreeSurvey()
    return {
        MetricBelow: on_file(metric_answer),
        AllReached: on_file(reached_answer),
        DuplicateGone: survey.ask_duplicate,
        SymbolGone: survey.ask_gone,
    }


SPEC = SensorSpec(
    source=Source.OPPORTUNITY_MINER,
    rank=6,
    urgency=Urgency.LOW,
    routed_as=SourceClass.BACKGROUND,
    settings=OpportunityMinerSettings,
    tighten={"enabled": "off"},
    closure_checks=_closure_checks,
    build=_build,
    docs=(
        DocsRow(
            "functions that a commit makes more complex than `complexity`",
            "the function is below that, and no other function of the file has risen above it",
            "no",
        ),
        DocsRow(
            "functions that a commit makes equal up to their local names",
            "one is left, none of the others is half as large, nothing uses the removed ones",
            "no",
        ),
        DocsRow(
            "private functions and methods that lose their last mention; statements that no run can reach",
            "the function is gone, also under another name, and nothing names it; every statement "
            "can be reached, and the function is smaller",
            "no",
        ),
    ),
)
