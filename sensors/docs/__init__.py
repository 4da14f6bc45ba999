"""Docstrings and pages that a commit leaves missing or out of date."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.vocabulary import Check, PageWithout, ParametersDocumented, Source, SourceClass, SymbolDocumented, Urgency
from sensors.closure_checks import AskCheck, ClosurePorts, on_file
from sensors.docs.settings import DocStalenessSettings
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec


def _build(ports: DaemonPorts, settings: DocStalenessSettings) -> Sensor:
    from sensors.docs.sensor import DocStaleness

    return DocStaleness(ports=ports, settings=settings)


def _closure_checks(settings: DocStalenessSettings, ports: ClosurePorts) -> Mapping[type[Check], AskCheck]:
    from sensors.docs.pages import page_answer
    from sensors.docs.signatures import parameters_answer
    from sensors.docs.stale import documented_answer

    return {
        SymbolDocumented: on_file(documented_answer),
        ParametersDocumented: on_file(parameters_answer),
        PageWithout: on_file(page_answer),
    }


SPEC = SensorSpec(
    source=Source.DOC_STALENESS,
    rank=6,
    urgency=Urgency.LOW,
    routed_as=SourceClass.BACKGROUND,
    settings=DocStalenessSettings,
    tighten={"enabled": "off"},
    closure_checks=_closure_checks,
    build=_build,
    docs=(
        DocsRow(
            "public symbols without a docstring that a commit adds or changes",
            "the symbol has a docstring of a few words",
            "only when code changes with it",
        ),
        DocsRow(
            "docstrings (Google, NumPy, Sphinx) whose parameters a commit renames, removes or adds",
            "each parameter has its line, and no removed one has",
            "only when code changes with it",
        ),
        DocsRow(
            "pages (README, `docs/`) outside the commit that name, in code, a public name or parameter that it removed",
            "the page no longer names it",
            "yes",
        ),
    ),
)
