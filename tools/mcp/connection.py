"""One connection to a server, from handshake to close. Only the task that owns the server enters it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from mcp import Client
from mcp.client import IncomingMessage, Transport
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    REQUEST_TIMEOUT,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    Implementation,
    PaginatedRequestParams,
    ToolListChangedNotification,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from ledger.errors import ToolError
from tools.mcp.list_filter import ListFilter
from tools.mcp.names import visible
from tools.mcp.offers import ListedTool

MOST_PAGES = 100
MOST_PARTS = 200
for _name in ("mcp", "client", "httpx2", "httpcore2"):  # they log addresses and servers' data; errors are reported here
    logging.getLogger(_name).setLevel(logging.CRITICAL)
SESSION_GONE = "Session terminated"  # the SDK's message for a session that an HTTP server no longer knows


class Connection:
    """Requests to one server. Any task may call; ``lost`` is called when a call finds the connection gone."""

    def __init__(self, client: Client, *, list_filter: ListFilter, lost: Callable[[], None]) -> None:
        self._client, self._sifting, self._lost = client, list_filter, lost

    @property
    def about(self) -> str:
        """Name and version that the server reports, and the protocol version."""
        info = self._client.server_info
        name = " ".join(visible(f"{info.name} {info.version}", 80).split()) if info else "nameless"
        return f"{name}, protocol {self._client.protocol_version}"

    async def tools(self, most: int) -> tuple[list[ListedTool], bool]:
        """The first ``most`` tools, and whether there are more; a malformed one has a ``flaw``.

        Raises ``MCPError``, and validation errors for a malformed answer.
        """
        found: list[ListedTool] = []
        cursors: set[str] = set()
        params = None
        if self._client.server_capabilities.tools is None:
            return found, False
        for _ in range(MOST_PAGES):
            page = await self._client.session.list_tools(params=params)
            found += [
                ListedTool(tool=one.name, description=one.description or "", schema=one.input_schema)
                for one in page.tools
            ]
            found += self._sifting.take()
            cursor = page.next_cursor
            if cursor is None or cursor in cursors or len(found) > most:
                return found[:most], len(found) > most
            cursors.add(cursor)
            params = PaginatedRequestParams(cursor=cursor)
        return found[:most], True

    async def call(self, tool: str, arguments: dict[str, Any], *, timeout_s: float) -> str:
        """Result of a tool call as text. The server is notified of a time-out or cancellation. Raises ``ToolError``.

        Not the SDK's own ``call_tool``: that validates the answer by the server's output schema, whose patterns may
        take for ever.
        """
        request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
        try:
            result = await self._client.session.send_request(
                request, CallToolResult, request_read_timeout_seconds=timeout_s
            )
        except ValidationError as error:
            raise ToolError("The server's answer is not one that MCP has.") from error
        except (RuntimeError, ValueError) as error:
            raise ToolError(f"The call could not be made: {error}") from error
        except MCPError as error:
            if error.code == CONNECTION_CLOSED or error.message == SESSION_GONE:
                self._lost()
                raise ToolError("The connection to the server was lost during the call.") from error
            if error.code == REQUEST_TIMEOUT:
                raise ToolError(f"The server did not answer within {timeout_s:g} s.") from error
            raise ToolError(f"The server refused the call: {visible(error.message, 2000)}") from error
        text = format_result(result)
        if result.is_error:
            raise ToolError(f"The tool says that it failed: {text}")
        return text


@asynccontextmanager
async def open_connection(
    transport: Transport,
    *,
    timeout_s: float,
    pause_s: float,
    most: int,
    changed: Callable[[], None],
    lost: Callable[[], None],
) -> AsyncIterator[Connection]:
    """An initialised connection. ``changed`` is called when the server announces that its list of tools changed."""

    async def heard(message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            changed()

    list_filter = ListFilter(transport, most)
    client = Client(
        list_filter,
        message_handler=heard,
        client_info=Implementation(name="ouroboros", version=version("ouroboros")),
        cache=None,
    )
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(timeout_s):
            await stack.enter_async_context(client)
        capability = client.server_capabilities.tools
        if client.protocol_version in MODERN_PROTOCOL_VERSIONS and capability is not None and capability.list_changed:
            listening = asyncio.create_task(_listen(client, changed, pause_s), name="mcp changes")
            stack.push_async_callback(_ended, listening)
        yield Connection(client, list_filter=list_filter, lost=lost)


async def _listen(client: Client, changed: Callable[[], None], pause_s: float) -> None:
    """Subscribe to changes, which newer servers announce to subscribers only; the stream may break at any time."""
    while True:
        with suppress(MCPError, SubscriptionLost, TimeoutError):
            async with client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    changed()
        await asyncio.sleep(max(pause_s, 1.0))
        changed()  # changes between two streams are not announced


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def format_result(result: CallToolResult) -> str:
    """A result as text for a model: its first ``MOST_PARTS`` parts, or its structured content when it has none.

    Text parts are unchanged, others become a short description.
    """
    parts = [_part(block) for block in result.content[:MOST_PARTS]]
    if len(result.content) > MOST_PARTS:
        parts.append(f"[{len(result.content) - MOST_PARTS} more parts]")
    if not parts and result.structured_content is not None:
        parts.append(json.dumps(result.structured_content, ensure_ascii=False, indent=1))
    return "\n".join(parts) or "[an empty result]"


def _part(block: ContentBlock) -> str:
    if block.type == "text":
        return block.text
    if block.type == "image" or block.type == "audio":
        return f"[{block.type}, {_word(block.mime_type)}, {_size(block.data)}: not shown]"
    if block.type == "resource_link":
        return f"[link to {_word(block.uri)}, {_word(block.mime_type or 'no type')}: {_word(block.name)}]"
    held = block.resource
    kind = _word(held.mime_type or "no type")
    text = getattr(held, "text", None)
    if isinstance(text, str):
        return f"[resource {_word(held.uri)}, {kind}]\n{text}"
    return f"[resource {_word(held.uri)}, {kind}, {_size(getattr(held, 'blob', ''))}: not shown]"


def _word(text: object) -> str:
    return " ".join(visible(str(text), 200).split())


def _size(base64: str) -> str:
    return f"{len(base64) * 3 // 4} bytes"
