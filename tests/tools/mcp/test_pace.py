"""A server that sends without end has to wait, whatever it is that it sends."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification

from tools.mcp.list_filter import BURST, PER_SECOND, ListFilter

MORE = 20


async def test_messages_behind_the_first_thousand_come_slowly() -> None:
    said = SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="notifications/message"))
    write, read = anyio.create_memory_object_stream[SessionMessage | Exception](BURST + MORE)
    for _ in range(BURST + MORE):
        write.send_nowait(said)

    @asynccontextmanager
    async def transport() -> Any:
        yield read, write

    clock = asyncio.get_running_loop().time
    async with ListFilter(transport(), 10) as (reading, _):
        began = clock()
        for _ in range(BURST):
            await reading.receive()
        quick, began = clock() - began, clock()
        for _ in range(MORE):
            await reading.receive()
        slow = clock() - began
    read.close()
    write.close()
    assert slow + quick >= 0.9 * MORE / PER_SECOND  # what is saved meanwhile is all that it gets
