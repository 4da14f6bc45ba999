"""Transports to an MCP server: a child process in the sandbox, or a URL. Every connection gets a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.errors import ConfigError, ProgramMissing, SandboxMissing
from ledger.places import HostEnv, Places
from ledger.programs import find_program
from tools.mcp.secrets import Lookup, headers_for, secrets_in, variables_for
from tools.mcp.settings import McpSettings, ServerSettings
from tools.sandbox.tree import SYSTEM
from tools.sandbox.types import Job, Mount, Sandbox
from tools.streams import Talk
from tools.testing.environment.interpreter import read_environment

if TYPE_CHECKING:
    from mcp.client import Transport

INSTALL = "In the clone of Ouroboros: `.venv/bin/pip install -c constraints/core.txt -e '.[mcp]'`."
NO_SANDBOX = "No sandbox works on this machine, and a server is started as a child only in a sandbox."


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTransport:
    """A transport. ``reason`` returns why it ended, or "" if unknown; ``secrets`` are those that the server gets."""

    transport: Transport
    secrets: tuple[str, ...] = ()
    reason: Callable[[], str] = str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportFactory:
    """Creates transports. ``sandbox`` None: no server can be started as a child."""

    places: Places
    env: HostEnv
    lookup: Lookup
    bounds: McpSettings
    sandbox: Sandbox | None

    async def open(self, settings: ServerSettings, on_end: Callable[[], None]) -> ServerTransport:
        """A new transport to a server; ``on_end`` is called when a child process has ended.

        Raises ``ConfigError`` and ``SandboxMissing`` for faults that only the owner can fix.
        """
        if util.find_spec("mcp") is None:
            raise ConfigError("The MCP SDK is not installed.", remedy=INSTALL)
        return await (self._http(settings) if settings.url else self._stdio(settings, on_end))

    async def _http(self, settings: ServerSettings) -> ServerTransport:
        headers = await asyncio.to_thread(headers_for, settings, self.lookup)
        http: Any = await asyncio.to_thread(import_module, "tools.mcp.http")
        transport = http.http_transport(
            settings.url,
            headers,
            message_bytes=self.bounds.message_bytes,
            timeout_s=settings.connect_timeout_s,
            stop_s=self.bounds.stop_s,
        )
        return ServerTransport(transport=transport, secrets=secrets_in(settings, headers))

    async def _stdio(self, settings: ServerSettings, on_end: Callable[[], None]) -> ServerTransport:
        sandbox = self.sandbox
        if sandbox is None:
            raise SandboxMissing(NO_SANDBOX, remedy="`ouro doctor` says what is missing.")
        secrets = variables_for(settings, self.lookup)
        program, mounts = await asyncio.to_thread(self._program_and_mounts, settings)
        stdio: Any = await asyncio.to_thread(import_module, "tools.mcp.stdio")

        def job(talk: Talk) -> Job:
            return _job(settings, program, mounts, secrets, talk)

        transport = stdio.StdioTransport(
            sandbox=sandbox, job=job, message_bytes=self.bounds.message_bytes, stop_s=self.bounds.stop_s, over=on_end
        )
        return ServerTransport(
            transport=transport, secrets=tuple(secrets.values()), reason=lambda: str(transport.reason)
        )

    def _program_and_mounts(self, settings: ServerSettings) -> tuple[str, tuple[Mount, ...]]:
        """The program's path, and the mounts that it needs besides the system's. Raises ``ConfigError``."""
        try:
            program = find_program(settings.command, self.env)
        except ProgramMissing as error:
            if error.refused:
                raise ConfigError(error.message, remedy=error.remedy) from error
            raise ConfigError(
                f"The program {settings.command!r} was not found.", remedy="Name it by its absolute path."
            ) from error
        ours = self.places.own_folders
        wanted = [Path(path) for path in (*settings.readable, *((settings.cwd,) if settings.cwd else ()))]
        for path in wanted:
            _check_not_reserved(path, ours, below_only=True)
        for name in settings.writable:
            _check_not_reserved(Path(name), (*ours, self.places.repo, self.places.common_dir, self.places.git_dir))
        mounts = [Mount(source=path, target=path) for path in dict.fromkeys((*_needed_by(program), *wanted))]
        mounts += [Mount(source=Path(name), target=Path(name), writable=True) for name in settings.writable]
        return str(program), tuple(mounts)


def _job(
    settings: ServerSettings, program: str, mounts: tuple[Mount, ...], secrets: Mapping[str, str], talk: Talk
) -> Job:
    return Job(
        argv=(program, *settings.args),
        cwd=Path(settings.cwd or "/"),
        mounts=mounts,
        timeout_s=None,
        talk=talk,
        speaks=True,
        network=settings.network,
        secrets=secrets,
    )


def _needed_by(program: Path) -> tuple[Path, ...]:
    """The program, if it is outside the system's folders, with the Python installation that it belongs to."""
    wanted: list[Path] = []
    for one in (program, program.resolve()):
        prefix = one.parent.parent
        environment = read_environment(prefix) if (prefix / "pyvenv.cfg").is_file() else None
        if environment is not None:
            wanted += [environment.prefix, *(base for base in environment.bases if _is_python(base))]
        else:
            wanted.append(prefix if _is_python(prefix) else one)
    system = tuple(Path(top) for top in SYSTEM)
    outside = [path for path in dict.fromkeys(wanted) if not any(top in (path, *path.parents) for top in system)]
    return tuple(path for path in outside if not any(other in path.parents for other in outside))


def _is_python(prefix: Path) -> bool:
    """Whether ``prefix`` is a complete Python installation, not just packages among other files of the owner."""
    return any(prefix.glob("lib/python3.*/os.py"))


def _check_not_reserved(path: Path, reserved: tuple[Path, ...], *, below_only: bool = False) -> None:
    """Raises ``ConfigError`` if ``path`` is one of ``reserved``, in one, or (unless ``below_only``) above one."""
    real = path.resolve()
    for one in (place.resolve() for place in reserved):
        if one in (real, *real.parents) or (not below_only and real in one.parents):
            raise ConfigError(
                f"A server gets no access to {str(path)!r}: {str(one)!r} is reserved for the daemon.",
                remedy="Name another folder in tools.mcp.servers.",
            )
