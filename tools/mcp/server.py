"""Supervisor of one server: connects, keeps its list of tools current, reconnects with backoff, finally gives up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ledger.clock import Clock
from ledger.errors import LedgerError, OuroError, ToolError
from ledger.events.event import LedgerEvent
from ledger.events.session import McpServerConnected, McpServerGivenUp, McpServerLost, McpServerRefused, McpToolsChanged
from tools.mcp.names import visible
from tools.mcp.offers import Offers, Screen, sort_out
from tools.mcp.secrets import scrub
from tools.mcp.settings import McpSettings, ServerSettings

if TYPE_CHECKING:
    from tools.mcp.connection import Connection
    from tools.mcp.transports import ServerTransport

Note = Callable[[LedgerEvent], Awaitable[None]]
"""Records an event of a server, before it takes effect."""

Pause = Callable[[float], Awaitable[None]]
NO_TOOLS = Offers()
SHOWN_REASON = 400
SHOWN_LEFT_OUT = 20


class ConnectionState(StrEnum):
    """Connection state of a server."""

    STOPPED = "stopped"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting to connect again"
    REFUSED = "refused"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerView:
    """Status of one server for the user. ``reason``: why it is not connected; ``withheld``: tool and rule."""

    name: str
    place: str
    standing: ConnectionState
    about: str = ""
    tools: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    withheld: tuple[tuple[str, str], ...] = ()
    reason: str = ""


class Server:
    """``run`` is the task that owns the connection. Other methods read its state or send requests through it.

    ``open_transport`` creates a transport; it raises ``OuroError`` when another attempt is pointless.
    """

    def __init__(
        self,
        *,
        name: str,
        settings: ServerSettings,
        bounds: McpSettings,
        open_transport: Callable[[Callable[[], None]], Awaitable[ServerTransport]],
        note: Note,
        screen: Screen,
        clock: Clock,
        pause: Pause = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.name, self.settings, self._bounds = name, settings, bounds
        self._open_transport, self._note, self._clock, self._pause, self._draw = (
            open_transport,
            note,
            clock,
            pause,
            draw,
        )
        self._screen = screen
        self.offers = NO_TOOLS
        self.settled = asyncio.Event()  # the first attempt has succeeded or failed
        self._standing, self._reason, self._about = ConnectionState.STOPPED, "", ""
        self._connection: Connection | None = None
        self._connected_at: float | None = None
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._secrets: tuple[str, ...] = ()

    def view(self) -> ServerView:
        """Current status."""
        return ServerView(
            name=self.name,
            place=self.settings.place,
            standing=self._standing,
            about=self._about,
            tools=tuple(self.offers.offered),
            left_out=self.offers.left_out[:SHOWN_LEFT_OUT],
            withheld=self.offers.withheld,
            reason=self._reason,
        )

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        """Call a tool by the server's own name for it; secrets are removed from the result. Raises ``ToolError``."""
        connection = self._connection
        if connection is None:
            raise ToolError(f"The MCP server {self.name!r} is not connected ({self._reason or self._standing.value}).")
        try:
            return scrub(await connection.call(tool, arguments, timeout_s=self.settings.call_timeout_s), self._secrets)
        except ToolError as error:
            raise ToolError(scrub(error.message, self._secrets)) from error

    async def run(self) -> None:
        """Run until cancelled, refused or given up. No process or connection is left when this returns or raises."""
        try:
            await self._keep()
        except LedgerError as error:  # nothing is offered that is not recorded
            self._stand(ConnectionState.REFUSED, f"the record takes no entry: {error.message}")
        except asyncio.CancelledError:
            self._stand(ConnectionState.STOPPED)
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of the task: the status shows the error
            self._stand(ConnectionState.REFUSED, _described(_cause(error)))

    async def _keep(self) -> None:
        failures = 0
        while True:
            self._stand(ConnectionState.CONNECTING, self._reason)
            self._connected_at, self._over = None, asyncio.Event()
            try:
                found = await self._open_transport(self._gone)
            except OuroError as error:
                await self._note(McpServerRefused(server=self.name, reason=str(error)))
                self._stand(ConnectionState.REFUSED, str(error))
                return
            reason = await self._once(found)
            held_s = 0.0 if self._connected_at is None else self._clock.monotonic() - self._connected_at
            failures = 1 if held_s >= self._bounds.stable_s else failures + 1
            if failures > self.settings.restarts:
                await self._note(McpServerGivenUp(server=self.name, reason=reason, failures=failures))
                self._stand(
                    ConnectionState.GIVEN_UP, f"{reason} ({failures} failures in a row; `ouro reload` tries again)"
                )
                return
            wait_s = self._wait_s(failures, self._bounds.backoff_s)
            lost = McpServerLost(server=self.name, reason=reason, failures=failures, wait_ms=round(wait_s * 1000))
            await self._note(lost)
            self._stand(ConnectionState.WAITING, reason)
            await self._pause(wait_s)

    async def _once(self, found: ServerTransport) -> str:
        """One connection, from opening to close; returns the reason for its end."""
        sdk = await asyncio.to_thread(import_module, "tools.mcp.connection")  # takes a second, the first time
        self._secrets = found.secrets
        limit_s, why = self.settings.connect_timeout_s, "the connection ended"
        try:
            async with sdk.open_connection(
                found.transport,
                timeout_s=limit_s,
                pause_s=self._bounds.refresh_s,
                most=self._bounds.tools_listed,
                changed=self._news.set,
                lost=self._gone,
            ) as connection:
                await self._stay(connection)
        except Exception as error:  # noqa: BLE001 - the boundary of a server: errors of the SDK end this connection only
            cause = _cause(error)
            if isinstance(cause, LedgerError):
                raise cause from None
            why = f"it did not answer within {limit_s:g} s" if isinstance(cause, TimeoutError) else _described(cause)
        finally:
            self._connection, self.offers = None, NO_TOOLS
        return scrub(visible(found.reason() or why, SHOWN_REASON), self._secrets)

    async def _stay(self, connection: Connection) -> None:
        """List the tools now and whenever they change, until the connection is lost."""
        changes, changed_at = 0, self._clock.monotonic()
        await self._look(connection)
        while not self._over.is_set():
            try:
                async with asyncio.timeout(self._bounds.recheck_s if self.settings.url else None):
                    await self._news.wait()
            except TimeoutError:
                pass
            if self._over.is_set():
                return
            await self._pause(self._wait_s(changes, self._bounds.refresh_s) if changes else self._bounds.refresh_s)
            self._news.clear()
            if await self._look(connection):
                now = self._clock.monotonic()
                changes = 1 if now - changed_at > self._bounds.stable_s else changes + 1
                changed_at = now

    async def _look(self, connection: Connection) -> bool:
        """List the tools; True when they changed. What a model will see is recorded first."""
        async with asyncio.timeout(self.settings.connect_timeout_s):
            found, unseen = await connection.tools(self._bounds.tools_listed)
        offers = await asyncio.to_thread(
            sort_out, self.name, found, self.settings, self._bounds, screen=self._screen, unseen=unseen
        )
        first = self._connection is None
        same = (offers.digest, offers.left_out) == (self.offers.digest, self.offers.left_out)
        if first or not same:
            await self._note(self._connected(McpServerConnected if first else McpToolsChanged, connection, offers))
        self.offers, self._connection, self._about = offers, connection, connection.about
        if first:
            self._connected_at = self._clock.monotonic()
        self._stand(ConnectionState.CONNECTED)
        return not (first or same)

    def _connected(self, event: type[McpServerConnected], connection: Connection, offers: Offers) -> McpServerConnected:
        return event(
            server=self.name,
            about=connection.about,
            tools=tuple(offers.offered),
            sha256=offers.digest,
            left_out=tuple(offers.left_out[:SHOWN_LEFT_OUT]),
            withheld=tuple(offers.withheld),
        )

    def _gone(self) -> None:
        self._over.set()
        self._news.set()

    def _wait_s(self, times: int, first_s: float) -> float:
        return delay_s(times, first_s=first_s, most_s=self._bounds.backoff_most_s, draw=self._draw())

    def _stand(self, standing: ConnectionState, reason: str = "") -> None:
        self._standing, self._reason = standing, reason
        if standing is not ConnectionState.CONNECTING:
            self.settled.set()


def _cause(error: BaseException) -> BaseException:
    """The first underlying exception: the SDK's task groups wrap exceptions in groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _described(error: BaseException) -> str:
    """An error as one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"its answer is not one that MCP has: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def delay_s(failures: int, *, first_s: float, most_s: float, draw: float) -> float:
    """Exponential backoff: seconds after the ``failures``-th failure in a row (from 1): doubled each time, bounded.

    ``draw`` in [0, 1) subtracts up to half of it, so that servers which failed together do not restart together.
    """
    whole = min(most_s, first_s * 2.0 ** min(failures - 1, 40))
    return whole * (1.0 - draw / 2)
