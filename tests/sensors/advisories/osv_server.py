"""An OSV API on the loopback address: it answers from a folder of advisories, or as badly as a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from tests.loopback import listening

Fault = Callable[[asyncio.StreamWriter], Awaitable[None]]


def head(status: str, length: int | None, *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close", *more]
    lines += [] if length is None else [f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


async def drips(writer: asyncio.StreamWriter) -> None:
    """An answer that never gets on."""
    writer.write(head("200 OK", 100_000))
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless(writer: asyncio.StreamWriter) -> None:
    """An answer without an end."""
    writer.write(head("200 OK", None))
    while not writer.is_closing():
        writer.write(b'{"results": [' + b" " * 65_536)
        await writer.drain()


async def breaks_off(writer: asyncio.StreamWriter) -> None:
    writer.write(head("200 OK", 1_000) + b'{"results": [')
    await writer.drain()


def says(body: bytes, status: str = "200 OK", *more: str) -> Fault:
    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(head(status, len(body), *more) + body)
        await writer.drain()

    return say


@dataclass
class OsvServer:
    """``page`` advisories a result; ``faults`` by the beginning of a path. ``asked`` are the paths, in order."""

    folder: Path
    page: int = 1
    faults: dict[str, Fault] = field(default_factory=dict)
    port: int = 0
    asked: list[str] = field(default_factory=list)
    queries: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path = lines[0].split(" ")[1]
        self.asked.append(path)
        fault = next((fault for start, fault in self.faults.items() if path.startswith(start)), None)
        if fault is not None:
            await fault(writer)
        else:
            told = self._batch(json.loads(body)) if path == "/v1/querybatch" else self._vuln(path)
            status = "200 OK" if told is not None else "404 Not Found"
            data = json.dumps(told if told is not None else {"code": 5, "message": "Bug not found."}).encode()
            writer.write(head(status, len(data)) + data)
            await writer.drain()

    def _batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.queries += asked["queries"]
        return {"results": [self._result(query) for query in asked["queries"]]}

    def _result(self, query: dict[str, Any]) -> dict[str, Any]:
        """An empty result is an empty object, as the API has it."""
        wanted = query["package"]
        found = []
        for path in sorted(self.folder.glob("*.json")):
            told = json.loads(path.read_text())
            package = told["affected"][0]["package"]
            same = canonicalize_name(package["name"]) == canonicalize_name(wanted["name"])
            if same and package["ecosystem"] == wanted["ecosystem"]:
                found.append({"id": told["id"], "modified": told["modified"]})
        start = int(query.get("page_token", "0"))
        result: dict[str, Any] = {"vulns": found[start : start + self.page]} if found else {}
        if start + self.page < len(found):
            result["next_page_token"] = str(start + self.page)
        return result

    def _vuln(self, path: str) -> dict[str, Any] | None:
        file = self.folder / f"{path.rpartition('/')[2]}.json"
        return json.loads(file.read_text()) if file.exists() else None


@asynccontextmanager
async def osv_server(folder: Path) -> AsyncIterator[OsvServer]:
    made = OsvServer(folder)
    async with listening(made.serve) as made.port:
        yield made
