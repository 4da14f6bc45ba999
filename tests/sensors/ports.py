"""All ports of a sensor, of which a test gives those that it needs; the others refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ledger.clock import Clock
from ledger.store import Ledger
from sensors.ports import Emit, RepositoryPort, SensorPorts


class Refusing:
    """A port that this test does not expect to be used."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not given")

    def __call__(self, *args: object) -> Any:
        raise AssertionError(f"{args} are asked of a port that is not given")


async def none_left_alone(commit: str) -> frozenset[str]:
    return frozenset()


async def not_busy() -> str:
    return ""


async def no_depth(op_id: str) -> int:
    return 0


def sensor_ports(
    *, repository: RepositoryPort, emit: Emit, ledger: Ledger, clock: Clock, top: Path | None = None, **given: Any
) -> SensorPorts:
    refusing: Any = Refusing()
    ports = SensorPorts(
        repository=repository,
        emit=emit,
        ledger=ledger,
        clock=clock,
        depth_of=no_depth,
        tests=refusing,
        top=top or Path("/nowhere"),
        spool=Path("/nowhere"),
        emit_for_owner=emit,
        withdraw=refusing,
        is_known=refusing,
        is_open=refusing,
        left_alone=none_left_alone,
        pressed_by=str,
        busy_with=not_busy,
        follow=refusing,
        elsewhere=refusing,
        names=refusing,
        ocr=refusing,
        gh=refusing,
        hindered=int,
        has_issue_webhook=False,
    )
    return replace(ports, **given)
