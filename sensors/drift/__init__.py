"""Contract files that differ from their counterpart in another repository."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.vocabulary import Check, SidesAgree, Source, SourceClass, Urgency
from sensors.closure_checks import AskCheck, ClosurePorts
from sensors.drift.settings import CrossRepoDriftSettings
from sensors.ports import DaemonPorts
from sensors.sensor import DocsRow, Sensor, SensorSpec


def _build(ports: DaemonPorts, settings: CrossRepoDriftSettings) -> Sensor:
    from sensors.drift.sensor import CrossRepoDrift

    return CrossRepoDrift(ports=ports, elsewhere=ports.elsewhere, follow=ports.follow, settings=settings)


def _closure_checks(settings: CrossRepoDriftSettings, ports: ClosurePorts) -> Mapping[type[Check], AskCheck]:
    from sensors.drift.agreement import Agreement

    agreement = Agreement(
        elsewhere=ports.elsewhere, pairs=settings.pairs, largest=settings.largest_bytes, redact=ports.redact
    )
    return {SidesAgree: agreement.answer}


def _tables() -> tuple[str, ...]:
    from sensors.drift.sensor import SCHEMA

    return (SCHEMA,)


SPEC = SensorSpec(
    source=Source.CROSS_REPO_DRIFT,
    rank=4,
    urgency=Urgency.NORMAL,
    routed_as=SourceClass.STANDARD,
    from_outside=True,
    settings=CrossRepoDriftSettings,
    tighten={"enabled": "off"},
    closure_checks=_closure_checks,
    tables=_tables,
    build=_build,
    docs=(
        DocsRow(
            "a contract file that differs from its counterpart in another repository of this machine, at HEAD of both",
            "both agree; the other side is read as it is then",
            "no; you are always told before it lands",
        ),
    ),
)
