"""`ouro run`: one boot that lasts until a signal or a request ends it."""

from __future__ import annotations

import asyncio
import signal
import sys

from daemon.adapters.provider import vet
from daemon.control.messages import Event
from daemon.control.service_api import ServiceApi
from daemon.lifecycle.exits import Exit
from daemon.lifecycle.logs import configure, logger
from daemon.lifecycle.service import OnEvent, Service
from daemon.settings.config import Config
from ledger.children import become
from ledger.clock import SystemClock
from ledger.errors import OuroError


async def serve(config: Config, on_event: OnEvent | None = None) -> int:
    """Run until a signal or a `shutdown` request ends it. Returns the exit code."""
    configure(config.settings.log)
    service = Service(config, clock=SystemClock(), on_event=on_event)
    service.lasts = True
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, lambda: request_restart(service))
    with service.stops.handle_signals(service.stopping):
        try:
            async with service.running():
                await service.sensors.start(service.lost)
                await announce(service)
                await service.stopping.wait()
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
    if service.restart and config.notify_socket is None:
        reexecute()
    return int(Exit.RESTART) if service.restart else int(Exit.DONE)


async def announce(service: Service) -> None:
    """The first line that a person sees of a running daemon."""
    from daemon.views.render import headline
    from daemon.views.text import show

    if service.on_event is not None:
        view = await ServiceApi(service).status()
        service.on_event(Event(cursor=0, note=show([headline(view)], colour=False)))


def request_restart(service: Service) -> None:
    """SIGHUP and `reload`: the settings are read again by a clean restart; a broken file keeps the old ones."""
    try:
        vet(service.config)
    except OuroError as error:
        logger(__name__).error("reload.refused", problem=str(error))
        return
    service.restart = True
    service.stopping.set()


def reexecute() -> None:
    """Start again in the same process, where no service manager does it: new settings need fresh parts."""
    isolated = () if sys.flags.isolated else ("-I",)
    become((sys.executable, *isolated, *sys.orig_argv[1:]))
