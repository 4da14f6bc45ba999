"""Removes malformed tools from a server's list before the SDK parses it, which rejects the whole list for one of them.

Of each tool only the validated members are kept: name, description and argument schema.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCResponse
from mcp_types.methods import validate_server_result
from pydantic import ValidationError

from tools.mcp.names import visible
from tools.mcp.offers import ListedTool

if TYPE_CHECKING:
    from mcp.client import Transport
    from mcp.client._transport import ReadStream, TransportStreams

KEPT = ("name", "description", "inputSchema")
STRICTEST = "2025-11-25"
"""The protocol version with the strictest schema of a tool."""
BURST, PER_SECOND = 1000, 100
"""Rate limit of a server's messages."""


def split_malformed(tools: list[Any]) -> tuple[list[dict[str, Any]], list[ListedTool]]:
    """The well-formed tools, and the others with their flaw. Pure."""
    good: list[dict[str, Any]] = []
    bad: list[ListedTool] = []
    for raw in tools:
        one = {key: raw[key] for key in KEPT if key in raw} if isinstance(raw, dict) else raw
        try:
            validate_server_result("tools/list", STRICTEST, {"tools": [one]})
            good.append(one)
        except ValidationError as error:
            name = raw.get("name") if isinstance(raw, dict) else None
            bad.append(
                ListedTool(tool=name if isinstance(name, str) else "", description="", schema=None, flaw=_why(error))
            )
    return good, bad


def _why(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(visible(str(part), 40) for part in first["loc"][2:])  # after "tools" and its index
    return visible(f"it does not match MCP's schema of a tool: {f'{place}: ' if place else ''}{first['msg']}", 200)


class Pace:
    """Token bucket: lets ``burst`` units through at once, then ``per_second``."""

    def __init__(self, burst: int, per_second: int) -> None:
        self._most, self._rate = burst, per_second
        self._left, self._at = float(burst), 0.0

    async def keep(self, units: int = 1) -> None:
        """Account for ``units``; waits when they exceed the rate."""
        now = asyncio.get_running_loop().time()
        self._left = min(self._most, self._left + (now - self._at) * self._rate) - units
        self._at = now
        if self._left < 0:
            await asyncio.sleep(-self._left / self._rate)


class ListFilter:
    """A transport that removes malformed tools from lists, and keeps at most ``most`` of them for ``take``."""

    def __init__(self, transport: Transport, most: int) -> None:
        self._transport, self._most = transport, most
        self._stack = AsyncExitStack()
        self._out: list[ListedTool] = []
        self._pace = Pace(BURST, PER_SECOND)

    def take(self) -> list[ListedTool]:
        """The tools removed since the last call."""
        out, self._out = self._out, []
        return out

    async def __aenter__(self) -> TransportStreams:
        read, write = await self._stack.enter_async_context(self._transport)
        return _FilteredStream(read, self), write

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    async def filter_message(self, message: SessionMessage | Exception) -> SessionMessage | Exception:
        """Remove malformed tools from an answer that lists tools. Waits when the server sends too fast."""
        await self._pace.keep()
        answer = message.message if isinstance(message, SessionMessage) else None
        tools = answer.result.get("tools") if isinstance(answer, JSONRPCResponse) else None
        if isinstance(answer, JSONRPCResponse) and isinstance(tools, list):
            answer.result["tools"], bad = await asyncio.to_thread(split_malformed, tools)
            self._out += bad[: self._most - len(self._out)]
        return message


class _FilteredStream:
    """The read stream of a server, without malformed tools."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception], list_filter: ListFilter) -> None:
        self._inner, self._filter = inner, list_filter.filter_message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # `last_context`, which some of the SDK's streams have

    async def receive(self) -> SessionMessage | Exception:
        return await self._filter(await self._inner.receive())

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> _FilteredStream:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        return await self._filter(await self._inner.__anext__())

    async def __aenter__(self) -> _FilteredStream:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)
