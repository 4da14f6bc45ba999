"""A whole service with a scripted model: life cycle, control socket, facade."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemon.control.service_api import ServiceApi
from daemon.lifecycle.service import Service
from daemon.settings.config import Config
from kernel.provider import Provider
from ledger.clock import SystemClock
from ledger.store import Ledger
from ledger.vocabulary import Entry


class Serving(Service):
    """The real service; only the model is another one."""

    def __init__(self, config: Config, model: Provider) -> None:
        super().__init__(config, clock=SystemClock())
        self._model = model

    def provider(self) -> Provider:
        return self._model

    async def told(self, op_id: str) -> str:
        """Everything that a person is told of an op, a line each; the table is brought up to date first."""
        self.core.table.feed(await self.core.ledger.entries(after=self.core.table.seq))
        view = self.core.table.resolve(op_id)
        return "\n".join(f"{step.label}: {step.text}" for step in view.steps)

    async def until(self, event: str, *, within_s: float = 60, **facts: object) -> Entry:
        """The first entry of this event whose payload has ``facts``, of those that are there and those that come."""
        ledger = self.core.ledger

        def fits(entry: Entry) -> bool:
            return entry.payload.get("event") == event and facts.items() <= entry.payload.items()

        async with asyncio.timeout(within_s), ledger.subscribe() as coming:
            for entry in await ledger.entries():
                if fits(entry):
                    return entry
            async for entry in coming:
                if fits(entry):
                    return entry
        raise AssertionError(f"the ledger ended without {event}")

    async def entries(self, op_id: str, event: str) -> list[Entry]:
        return [e for e in await self.core.ledger.entries(op_id=op_id) if e.payload.get("event") == event]


@asynccontextmanager
async def record_of(config: Config) -> AsyncIterator[Ledger]:
    """The record while no daemon runs: what the block writes is all that a dead one has left."""
    places = config.places
    ledger = await Ledger.open(places.ledger, repo_id=places.repo_id, clock=SystemClock())
    try:
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def served(
    config: Config, model: Provider, *, watch: bool = False, service_type: type[Serving] = Serving
) -> AsyncIterator[tuple[Serving, ServiceApi]]:
    """A service that is up, until the block ends; ``watch`` starts its sensors too."""
    service = service_type(config, model)
    async with service.running():
        if watch:
            await service.sensors.start(service.lost)
        yield service, ServiceApi(service)
