"""One boot for one piece of work: `ouro run --once`, and what `fix`, `approve` or `undo` do where no daemon runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.control.messages import Ack, ApproveRequest, FixRequest, OpRef, RejectRequest, SubmitRequest
from daemon.control.service_api import ServiceApi
from daemon.control.token import own_state
from daemon.lifecycle.exits import Exit, exit_for_op, worst
from daemon.lifecycle.logs import configure
from daemon.lifecycle.service import OnEvent, Service
from daemon.settings.config import Config
from ledger.clock import SystemClock, stamp

if TYPE_CHECKING:
    from governance.pipeline.ending import Ending

NO_MONEY = "The day's budget is spent: what is left stays queued. `ouro cost` shows it; midnight UTC begins a new day."
HELD_BACK = "The governor holds back what is left; it stays queued. `ouro signals` says why."


async def run_once(
    config: Config, *, request: SubmitRequest | FixRequest | None, on_event: OnEvent | None = None
) -> int:
    """Scan (or take ``request``), work off the queue, end. Returns the worst exit code of the ops.

    A signal, or a request over the socket, that ends it before gives ``Exit.STOPPED``: what is red then is not "nothing
    to do".
    """
    configure(config.settings.log)
    service = Service(config, clock=SystemClock(), on_event=on_event)
    codes: list[Exit] = []
    with service.stops.handle_signals(service.stopping):
        async with service.running():
            codes = await work_off(service, request)
    if service.stopping.is_set():
        return int(Exit.STOPPED)
    if not codes and request is None:
        return int(Exit.DONE)
    return int(worst(codes))


async def work_off(service: Service, request: SubmitRequest | FixRequest | None) -> list[Exit]:
    """Bring the work in and wait for its end; ops that wait for a person are left parked."""
    stopping = asyncio.create_task(service.stopping.wait())
    bringing = asyncio.create_task(_bring_in(service, request))
    try:
        await asyncio.wait({bringing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            return []
        waits = [Exit.PERSON] if bringing.result() else []
        return waits + await _until_idle(service, stopping)
    finally:
        stopping.cancel()
        bringing.cancel()  # a suite in the middle of a scan: nothing is lost with it
        await asyncio.gather(bringing, return_exceptions=True)


async def _bring_in(service: Service, request: SubmitRequest | FixRequest | None) -> bool:
    """True when what is red has its repair on a review branch."""
    api = ServiceApi(service)
    if isinstance(request, SubmitRequest):
        await api.submit(request)
        return False
    found = await api.fix(request or FixRequest(asked=False))
    if not found.signals and found.message:
        service.say(found.message)
    return found.waits


async def _until_idle(service: Service, stopping: asyncio.Task[bool]) -> list[Exit]:
    """Codes of the ops that end until nothing is left to do, or nothing more can be done."""
    router, reports = service.core.router, service.core.reports
    codes: list[Exit] = []
    out_of_budget = asyncio.create_task(reports.out_of_budget.wait())
    held_back = asyncio.create_task(router.held_back.wait())
    over = {stopping, out_of_budget, held_back, *service.working}
    try:
        while service.runtime.pool.busy() or not await router.idle() or not reports.ended.empty():
            ended = asyncio.create_task(reports.ended.get())
            await asyncio.wait({ended, *over}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                ended.cancel()
                if stopping.done():
                    return codes
                if not out_of_budget.done() and not held_back.done():
                    return [*codes, Exit.FAULT]
                service.say(NO_MONEY if out_of_budget.done() else HELD_BACK)
                return [*codes, Exit.REFUSED]
            ending = ended.result()
            codes.append(Exit.PERSON if ending.request is not None else exit_for_op(ending.state, ending.cause))
    finally:
        out_of_budget.cancel()
        held_back.cancel()
    return codes


async def undo(config: Config, request: OpRef) -> Ack:
    """One boot for one undo: it holds the instance lock, recovers first, records as the daemon would; no op begins."""
    own_state(config.places)
    configure(config.settings.log)
    service = Service(config, clock=SystemClock())
    async with service.running(paused=True):
        return await ServiceApi(service).undo(request)


async def decide(config: Config, request: ApproveRequest | RejectRequest, *, on_event: OnEvent | None = None) -> Exit:
    """One boot for one answer to an op that waits: a ``RejectRequest`` refuses it, any other reference lets it through.

    What is approved is carried to its end here; what else is queued stays so. Raises ``ControlError`` where it does
    not wait. The code is the op's, and that of done for a rejection.
    """
    own_state(config.places)
    configure(config.settings.log)
    service, ending = Service(config, clock=SystemClock(), on_event=on_event), None
    with service.stops.handle_signals(service.stopping):
        async with service.running(paused=True):
            if service.stopping.is_set():
                return Exit.STOPPED  # nothing is decided yet
            api, view = ServiceApi(service), await service.core.history.resolve(request.op)
            if view.has_expired(stamp(service.clock.now())):
                service.say(f"{view.short} waited until its time ran out; `ouro fix` takes up what is still red.")
                return Exit.REFUSED
            service.only = view.id
            done = await (api.reject(request) if isinstance(request, RejectRequest) else api.approve(request))
            service.say(done.message)
            ending = await _ending(service, done.op)
    if ending is None:
        return Exit.STOPPED if service.stops.asked else Exit.FAULT
    if isinstance(request, RejectRequest):
        return Exit.DONE
    return Exit.PERSON if ending.request is not None else exit_for_op(ending.state, ending.cause)


async def _ending(service: Service, op_id: str | None) -> Ending | None:
    """How that op ended; None when the boot is stopped, or no work can be done any more, before it has."""
    reports = service.core.reports
    stopping = asyncio.create_task(service.stopping.wait())
    try:
        while True:
            ended = asyncio.create_task(reports.ended.get())
            await asyncio.wait({ended, stopping, *service.working}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                ended.cancel()
                return None
            if ended.result().op.id == op_id:
                return ended.result()
    finally:
        stopping.cancel()
