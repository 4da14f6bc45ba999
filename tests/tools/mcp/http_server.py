"""An MCP server over streamable HTTP, made with the SDK's own server class. Prints its port; run as a program."""

from __future__ import annotations

import socket
import sys

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

server = MCPServer("over-http", log_level="ERROR")
TOKEN = sys.argv[1]


@server.tool()
def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


@server.tool()
def large() -> str:
    """Too much."""
    return "x" * 5_000_000


@server.tool()
async def grow(context: Context) -> str:
    """One tool more."""

    def grown() -> str:
        """New."""
        return "new"

    server.add_tool(grown)
    await context.notify_tools_changed()
    return "grown"


inner = server.streamable_http_app()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Nobody without the token; what it is stands in the refusal, as a careless server has it."""
    if scope["type"] == "http" and Request(scope).headers.get("authorization") != f"Bearer {TOKEN}":
        await Response(f"not {TOKEN}", status_code=401)(scope, receive, send)
        return
    await inner(scope, receive, send)


listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])
