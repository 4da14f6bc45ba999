"""The server of the control socket: JSON-RPC 2.0, one object per line, for the owner alone.

Each connection has a reader and a writer task, each request a task of its own; the server owns them all. Lines, queues,
requests and connections are bounded, so a client cannot slow down others.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from daemon.control.connection import Connection
from daemon.control.peers import Namespaces, judge, namespaces_of, own_namespaces, user_of
from daemon.control.table import ControlApi
from daemon.control.token import Token
from daemon.control.wire import BUSY, INVALID_REQUEST, error_line
from daemon.exit_codes import Exit
from daemon.lifecycle.logs import logger
from daemon.settings.bounds import ControlSettings
from ledger.errors import ConfigError, InstanceHeld


class ControlServer:
    """Serves one :class:`ControlApi` on one socket path. ``start`` once, ``close`` once."""

    def __init__(self, *, api: ControlApi, path: Path, settings: ControlSettings, token: Token) -> None:
        self._api = api
        self._path = path
        self._settings = settings
        self._token = token
        self._home = own_namespaces()
        self._noted: set[str] = set()
        self._server: asyncio.Server | None = None
        self._identity: tuple[int, int] | None = None  # device and inode, to remove no other server's socket
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: dict[Connection, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Listen. Raises ``InstanceHeld`` when a live server has the path, ``ConfigError`` when it is not a socket."""
        await asyncio.to_thread(clear_stale, self._path)
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            channel.bind(str(self._path))  # its folder has mode 0700: no other user can connect before the next line
            self._path.chmod(0o600)
            found = self._path.lstat()
            self._identity = (found.st_dev, found.st_ino)
            self._server = await asyncio.start_unix_server(
                self._connected, sock=channel, limit=self._settings.line_bytes
            )
        except OSError as error:
            channel.close()
            raise ConfigError(
                f"The control socket {self._path} cannot be made: {error.strerror}.",
                remedy="Its folder must exist and be writable.",
            ) from error

    async def close(self) -> None:
        """Accept no more clients and remove the socket file; after a moment for last answers, end all tasks."""
        if self._server is None:
            return
        self._server.close()
        self._remove_file()
        for connection in self._connections:
            connection.finish()
        tasks = self._tasks | set(self._connections.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._settings.close_timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    @property
    def attended(self) -> bool:
        """True while a client is connected."""
        return bool(self._connections)

    def peer_uid(self, channel: socket.socket) -> int:
        """The peer's user id, from the kernel."""
        return user_of(channel)

    def peer_namespaces(self, channel: socket.socket) -> Namespaces | None:
        """The namespaces of the peer's process; None where the kernel does not report them."""
        return namespaces_of(channel)

    def own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` as a task that ends with the server at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger("control").error("a control task failed", exc_info=error)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        refusal = self._refusal(writer)
        if refusal is not None:
            writer.write(refusal)
            writer.close()
            return
        connection = Connection(
            api=self._api,
            reader=reader,
            writer=writer,
            settings=self._settings,
            token=self._token,
            spawn=self.own,
            log_once=self._log_refusal_once,
        )
        task = self.own(connection.run())
        self._connections[connection] = task
        task.add_done_callback(lambda _: self._connections.pop(connection, None))

    def _refusal(self, writer: asyncio.StreamWriter) -> bytes | None:
        if self._server is None or not self._server.is_serving():
            return error_line(None, BUSY, "The daemon is stopping.")
        channel = writer.get_extra_info("socket")
        uid = self.peer_uid(channel)
        if uid != os.getuid():
            self._log_refusal_once(f"a client of user {uid} was refused: it is not the owner")
            return error_line(None, INVALID_REQUEST, "This daemon answers to its owner only.")
        refused = judge(self.peer_namespaces(channel), self._home)
        if refused is not None:
            self._log_refusal_once(f"a client was refused: {refused.why}")
            return error_line(None, INVALID_REQUEST, refused.why, remedy=refused.remedy, exit=int(Exit.REFUSED))
        if len(self._connections) >= self._settings.connections and not self._drop_idle_connection():
            return error_line(None, BUSY, "Too many clients are connected.", remedy="Close one and try again.")
        return None

    def _drop_idle_connection(self) -> bool:
        """Close the oldest silent connection without a token, to accept a new one; False if there is none."""
        oldest_idle = next((each for each in self._connections if each.is_replaceable), None)
        if oldest_idle is not None:
            oldest_idle.finish()
            del self._connections[oldest_idle]
        return oldest_idle is not None

    def _log_refusal_once(self, what: str) -> None:
        """Log each reason for a refusal once, so that a repeating client does not fill the log."""
        if what not in self._noted:
            self._noted.add(what)
            logger("control").warning(what)

    def _remove_file(self) -> None:
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            return
        if (found.st_dev, found.st_ino) == self._identity:
            self._path.unlink(missing_ok=True)


def clear_stale(path: Path) -> None:
    """Remove a socket file without a server. Raises ``InstanceHeld`` if it has one, ``ConfigError`` for others."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
        raise ConfigError(f"{path} is in the way: it is not a socket of this user.", remedy="Move it away.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
    raise InstanceHeld(f"Another daemon answers on {path}.", remedy="`ouro status` shows its state.")
