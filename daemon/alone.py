"""Where no daemon runs: questions are answered from the record, an undo is done in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemon.answers import Answers
from daemon.api import Ack, OpRef
from daemon.history import History
from daemon.optable import OpTable
from daemon.settings import Config
from ledger.clock import SystemClock
from ledger.errors import OuroError


@asynccontextmanager
async def answers(config: Config) -> AsyncIterator[Answers]:
    """The record, read-only. Raises ``LedgerError`` when there is none yet."""
    from daemon.reading import open_ledger
    from governance.budget import Budget
    from tools.git import Git

    settings, places, clock, table = config.settings, config.places, SystemClock(), OpTable()
    ledger = await open_ledger(config)
    try:
        history = History(ledger=ledger, table=table)
        await history.read_back()
        yield Answers(
            ledger=ledger,
            git=Git(places, config.env),
            table=table,
            history=history,
            clock=clock,
            budget=Budget(ledger=ledger, clock=clock, settings=settings.budget),
            models=_models(config),
        )
    finally:
        await ledger.close()


def _models(config: Config) -> dict[str, str]:
    """The model that the settings name. Where they name none that is known, the record is read all the same."""
    from kernel.catalogue import build

    kernel = config.settings.kernel
    try:
        provider = build(kernel.provider, kernel, models_dir=config.places.models, api_key=config.secret)
    except OuroError:
        return {}
    return {provider.name: provider.model}


async def undo(config: Config, request: OpRef) -> Ack:
    """One boot for one undo: it holds the instance lock, recovers first, records as the daemon would; no op begins."""
    from daemon.facade import Facade
    from daemon.logs import configure
    from daemon.service import Service

    configure(config.settings.log)
    service = Service(config, clock=SystemClock())
    try:
        await service.open()
        if service.house is not None:
            service.house.router.pause()  # what is queued stays so: an undo was asked for, nothing else
        await service.bring_up()
        return await Facade(service).undo(request)
    finally:
        await service.close()
