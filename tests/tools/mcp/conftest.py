"""Servers of a daemon, with the odd one as a real child in a real sandbox."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ledger.clock import ManualClock, unstamp
from ledger.errors import LedgerReadOnly
from ledger.events.event import LedgerEvent
from ledger.places import Places
from tests.proved import choose_once
from tests.repos import host_env, make_places, make_repo
from tools.mcp.server import ServerView
from tools.mcp.servers import McpServers
from tools.mcp.settings import McpSettings
from tools.sandbox.probe import interpreter
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Sandbox

SCRIPT = Path(__file__).with_name("odd_server.py")
SECRETS = {"MCP_TOKEN": "s3cret-token-of-the-owner"}


def odd(mode: str, *args: str, **more: Any) -> dict[str, Any]:
    """Settings of the odd server. What it needs to see is the folder that it lies in."""
    argv = ["-I", "-S", str(SCRIPT), mode, *args]
    return {"command": str(interpreter()[0]), "args": argv, "readable": [str(SCRIPT.parent)], "tools": ["*"], **more}


async def until(done: Callable[[], bool], within_s: float = 60) -> None:
    """Wait for what other processes bring about."""
    async with asyncio.timeout(within_s):
        while not done():  # noqa: ASYNC110  another process brings it about
            await asyncio.sleep(0.01)


def screen(text: str) -> str:
    """What the daemon's gate says, in short."""
    return "gate18.override" if "previous instructions" in text.replace("_", " ") else ""


@dataclass
class Hall:
    """Makes servers and stops them; ``notes`` is what was recorded, ``waits`` what was waited."""

    places: Places
    sandbox: Sandbox | None
    clock: ManualClock
    notes: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    made: list[McpServers] = field(default_factory=list)
    broken: bool = False  # the record takes nothing

    async def start(self, **settings: Any) -> McpServers:
        bounds = {"start_wait_s": 60, "refresh_s": 0, "stop_s": 0.2, **settings}
        servers = McpServers(
            settings=McpSettings.model_validate(bounds), places=self.places, env=host_env(), lookup=SECRETS.get,
            note=self._note, screen=screen, clock=self.clock, pause=self._pause,
        )  # fmt: skip
        self.made.append(servers)
        await servers.start(self.sandbox)
        return servers

    async def one(self, mode: str, *args: str, bounds: Mapping[str, Any] | None = None, **more: Any) -> McpServers:
        """One odd server by the name ``x``."""
        return await self.start(servers={"x": odd(mode, *args, **more)}, **(bounds or {}))

    async def _note(self, event: LedgerEvent) -> None:
        if self.broken:
            raise LedgerReadOnly("The disk is full.")
        self.notes.append((event.title, event.model_dump(mode="json")))

    async def _pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    def events(self) -> list[str]:
        return [event for event, _ in self.notes]


def view(servers: McpServers) -> ServerView:
    (only,) = servers.views()
    return only


async def call(servers: McpServers, tool: str, arguments: str = "{}") -> str:
    found = servers.find(f"mcp_x_{tool}")
    assert found is not None, view(servers)
    return await found.prepare(arguments).start(None)  # type: ignore[arg-type]  # it looks at nothing


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path, make_repo(tmp_path / "repo"))


@pytest.fixture
def backend() -> str:
    return "auto"


@pytest.fixture
async def hall(places: Places, backend: str) -> AsyncIterator[Hall]:
    settings = SandboxSettings.model_validate(
        {"backend": backend, "allow_unsandboxed": True, "flood_mb": 1, "grace_s": 0.2}
    )  # fmt: skip
    choice = await choose_once(settings, places, host_env())
    if choice.sandbox is None or (backend not in ("auto", choice.sandbox.name)):
        pytest.skip(f"{backend} does not work on this machine")
    made = Hall(places=places, sandbox=choice.sandbox, clock=ManualClock(unstamp("2026-01-01T00:00:00.000Z")))
    yield made
    for servers in made.made:
        await servers.stop()


assert sys.version_info >= (3, 11)
