"""All MCP servers of one daemon: started together, queried by toolbox and policy, stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from ledger.clock import Clock
from ledger.places import HostEnv, Places
from ledger.tasks import wait_until_done
from tools.manifest import AnyTool
from tools.mcp.names import server_of
from tools.mcp.offers import Screen
from tools.mcp.secrets import Lookup
from tools.mcp.server import ConnectionState, Note, Pause, Server, ServerView
from tools.mcp.settings import McpSettings
from tools.mcp.tool import McpTool
from tools.mcp.transports import NO_SANDBOX, TransportFactory
from tools.policy import NotOffered
from tools.sandbox.types import Sandbox

BACKSTOP_S = 6.0
"""Seconds after a server's own time-out at which the toolbox ends a call, so that the server is notified first."""


class McpServers:
    """The configured servers. Queries never wait and are thread-safe."""

    def __init__(
        self,
        *,
        settings: McpSettings,
        places: Places,
        env: HostEnv,
        lookup: Lookup,
        note: Note,
        screen: Screen,
        clock: Clock,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._settings, self._places, self._env, self._lookup = settings, places, env, lookup
        self._note, self._screen, self._clock, self._pause = note, screen, clock, pause
        self._servers: dict[str, Server] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopped = False

    async def start(self, sandbox: Sandbox | None) -> None:
        """Start the servers that are not running and can be; waits up to ``start_wait_s`` until they are connected.

        A second call starts those that had no sandbox before. After ``stop`` nothing is started.
        """
        if self._stopped:
            return
        transports = TransportFactory(
            places=self._places, env=self._env, lookup=self._lookup, bounds=self._settings, sandbox=sandbox
        )
        for name, settings in self._settings.servers.items():
            if name in self._tasks or (settings.command and sandbox is None):
                continue
            server = Server(
                name=name,
                settings=settings,
                bounds=self._settings,
                open_transport=partial(transports.open, settings),
                note=self._note,
                screen=self._screen,
                clock=self._clock,
                pause=self._pause,
            )
            self._servers[name] = server
            self._tasks[name] = asyncio.create_task(server.run(), name=f"mcp {name}")
        waits = [asyncio.ensure_future(self._servers[name].settled.wait()) for name in self._tasks]
        try:
            if waits:
                await asyncio.wait(waits, timeout=self._settings.start_wait_s)
        finally:
            for wait in waits:
                wait.cancel()

    async def stop(self) -> None:
        """Stop all servers. No process, task or descriptor is left when this returns, or raises ``CancelledError``."""
        self._stopped = True
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        if await wait_until_done(*tasks):
            raise asyncio.CancelledError

    def tools(self) -> Sequence[AnyTool]:
        """The tools that are offered now."""
        return [tool for server in self._servers.values() for tool in _tools(server)]

    def find(self, name: str) -> AnyTool | None:
        """The offered tool of this name, if there is one."""
        server = self._servers.get(server_of(name) or "")
        offer = server.offers.offered.get(name) if server else None
        return _tool(server, name) if server is not None and offer is not None else None

    def not_offered(self, name: str) -> NotOffered | None:
        """Why a tool may not be called (rung 0b of the policy); None for an offered one."""
        wanted = server_of(name)
        if wanted is None or wanted not in self._settings.servers:
            return NotOffered.UNKNOWN
        server = self._servers.get(wanted)
        if server is None or not server.connected:
            return NotOffered.NOT_CONNECTED
        offers = server.offers
        if name in offers.offered:
            return None
        return NotOffered.NOT_LISTED if name in offers.unlisted else NotOffered.UNKNOWN

    def views(self) -> tuple[ServerView, ...]:
        """Every server of the settings, started or not."""
        return tuple(
            self._servers[name].view()
            if name in self._servers
            else ServerView(name=name, place=one.place, standing=ConnectionState.REFUSED, reason=NO_SANDBOX)
            for name, one in self._settings.servers.items()
        )


def _tools(server: Server) -> list[AnyTool]:
    return [_tool(server, name) for name in server.offers.offered]


def _tool(server: Server, name: str) -> AnyTool:
    limit_s = server.settings.call_timeout_s + BACKSTOP_S
    return McpTool(offer=server.offers.offered[name], timeout_s=limit_s, call=server.call)
