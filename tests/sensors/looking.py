"""Sensors of committed files on a real repository, a real router and a real ledger."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Signal
from sensors.intake.records import Receipt
from sensors.intake.router import IntakeRouter
from sensors.ports import SensorPorts
from tests.repos import host_env, make_places, make_repo
from tests.sensors.ports import sensor_ports
from tests.sensors.signals import START, make_router, open_ledger
from tools.git import Git
from tools.repository import Repository

OURS = "Ouro-Op: op-1\n"


@dataclass
class Scene:
    """A repository that is looked at; ``sent`` is what the sensors said."""

    repo: Path
    clock: ManualClock
    ledger: Ledger
    router: IntakeRouter
    repository: Repository
    sent: list[Signal] = field(default_factory=list)
    depths: dict[str, int] = field(default_factory=dict)

    async def _emit(self, signal: Signal) -> Receipt:
        self.sent.append(signal)
        return await self.router.submit(signal)

    async def _depth_of(self, op_id: str) -> int:
        return self.depths.get(op_id, 0)

    def ports(self, unavailable: Callable[[], str] = str, **given: Any) -> SensorPorts:
        """For a new sensor on the same ledger, as after a restart."""
        return sensor_ports(
            repository=self.repository,
            emit=self._emit,
            ledger=self.ledger,
            clock=self.clock,
            top=Path(os.path.realpath(self.repo)),
            **{
                "depth_of": self._depth_of,
                "redact": lambda text: text.replace("hunter2", "[secret]"),
                "unavailable": unavailable,
                "withdraw": self.router.drop,
                "is_known": self.router.knows,
                "is_open": self.router.is_open,
                **given,
            },
        )

    def goals(self) -> list[str]:
        """What was said since this was last asked."""
        found = [signal.goal for signal in self.sent]
        self.sent.clear()
        return found


@asynccontextmanager
async def scene(base: Path, files: dict[str, str]) -> AsyncIterator[Scene]:
    repo = make_repo(base / "repo", files)
    clock = ManualClock(START)
    async with open_ledger(base / "ledger.sqlite3", clock) as ledger:
        router = make_router(ledger, clock)
        await router.recover()
        git = Git(make_places(base, repo), host_env())
        yield Scene(repo, clock, ledger, router, Repository(git))
