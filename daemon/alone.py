"""Where no daemon runs: questions are answered from the record; an undo or a decision is done in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from daemon.answers import Answers
from daemon.api import Ack, Event, OpRef, RejectRequest
from daemon.control_token import own_state
from daemon.exits import Exit, exit_for_op
from daemon.history import History
from daemon.optable import OpTable
from daemon.settings import Config
from ledger.clock import SystemClock, stamp
from ledger.errors import OuroError

if TYPE_CHECKING:
    from daemon.service import Service
    from governance.orchestrator import Ending


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
    from daemon.service import provider_of

    try:
        provider = provider_of(config)
    except OuroError:
        return {}
    return {provider.name: provider.model}


async def undo(config: Config, request: OpRef) -> Ack:
    """One boot for one undo: it holds the instance lock, recovers first, records as the daemon would; no op begins."""
    from daemon.facade import Facade
    from daemon.logs import configure
    from daemon.service import Service

    own_state(config.places)
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


async def decide(
    config: Config, request: OpRef | RejectRequest, *, on_event: Callable[[Event], None] | None = None
) -> Exit:
    """One boot for one answer to an op that waits: a ``RejectRequest`` refuses it, any other reference lets it through.

    What is approved is carried to its end here; what else is queued stays so. Raises ``ControlError`` where it does
    not wait. The code is the op's, and that of done where the owner said no.
    """
    from daemon.facade import Facade
    from daemon.logs import configure
    from daemon.service import Service

    own_state(config.places)
    configure(config.settings.log)
    service, ending = Service(config, clock=SystemClock(), on_event=on_event), None
    with service.stops.heeded(service.stopping):
        try:
            await service.open()
            if service.house is not None:
                service.house.router.pause()
            await service.bring_up()
            if service.stopping.is_set() or service.history is None:
                return Exit.STOPPED  # nobody has decided anything yet
            api, view = Facade(service), await service.history.resolve(request.op)
            if view.has_expired(stamp(service.clock.now())):
                service.say(f"{view.short} waited until its time ran out; `ouro fix` takes up what is still red.")
                return Exit.REFUSED
            service.only = view.id
            done = await (api.reject(request) if isinstance(request, RejectRequest) else api.approve(request))
            service.say(done.message)
            ending = await _ending(service, done.op)
        finally:
            await service.close()
    if ending is None:
        return Exit.STOPPED if service.stops.asked else Exit.FAULT
    if isinstance(request, RejectRequest):
        return Exit.DONE
    return Exit.PERSON if ending.request is not None else exit_for_op(ending.state, ending.cause)


async def _ending(service: Service, op_id: str | None) -> Ending | None:
    """How that op ended; None when the boot is stopped, or no work can be done any more, before it has."""
    pool = service.house.pool if service.house else None
    if pool is None:
        return None
    stopping = asyncio.create_task(service.stopping.wait())
    try:
        while True:
            ended = asyncio.create_task(pool.ended.get())
            await asyncio.wait({ended, stopping, *service.working}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                ended.cancel()
                return None
            if ended.result().op.id == op_id:
                return ended.result()
    finally:
        stopping.cancel()
