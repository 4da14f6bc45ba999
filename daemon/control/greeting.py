"""The start of a connection: find the socket, check who listens, send hello, read the answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path
from typing import Any

from daemon.control.peers import user_of
from daemon.control.wire import HELLO, METHOD_NOT_FOUND, PROTOCOL, request_line
from daemon.exit_codes import Exit
from ledger.errors import ControlError, NoDaemon
from ledger.parsers.json import read_json

_LIMIT_BYTES = 64 * 1024


class RemoteError(ControlError):
    """The daemon refused a request; ``kind`` is the name of its error, ``exit`` the exit code that goes with it."""

    def __init__(self, message: str, *, code: int, remedy: str, kind: str, exit: Exit) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.kind = kind
        self.exit = exit


async def reach(path: Path) -> socket.socket:
    """A connection to the socket at ``path``, if it is a process of this user that listens there."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(channel, str(path))
        listener = user_of(channel)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        channel.close()
        raise NoDaemon(
            "No daemon watches this repository.", remedy="`ouro run` starts one; `ouro service install` keeps one."
        ) from error
    except OSError as error:
        channel.close()
        raise NoDaemon(f"The daemon's socket {path} cannot be used: {error.strerror}.") from error
    if listener != os.geteuid():
        channel.close()
        raise ControlError(
            f"The socket {path} is another user's (uid {listener}): nothing is said to it.",
            remedy="Find out who put it there; the daemon's log and `ouro doctor` show where yours should be.",
        )
    return channel


async def greet(channel: socket.socket, token: str, timeout_s: float) -> None:
    """Send hello on a fresh connection. A refusal is read even from a daemon that has closed it already."""
    loop = asyncio.get_running_loop()
    line = request_line(0, HELLO, {"protocol": PROTOCOL, "token": token})
    said = b""
    try:
        async with asyncio.timeout(timeout_s):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                await loop.sock_sendall(channel, line)
            while not said.endswith(b"\n") and (more := await loop.sock_recv(channel, _LIMIT_BYTES)):
                said += more
    except TimeoutError as error:
        raise NoDaemon(
            f"The daemon has not said hello within {timeout_s:g} s.", remedy="Its log may say why."
        ) from error
    except OSError as error:
        raise NoDaemon(f"The daemon hung up: {error.strerror}.", remedy="Many clients at once? Try again.") from error
    _weigh(said)


def _weigh(said: bytes) -> None:
    """Pure: return for a valid answer to hello; raise the refusal otherwise."""
    try:
        answer = read_json(said)
        refusal, result = answer.get("error"), answer.get("result")
    except (ValueError, AttributeError):
        raise gone() from None
    if isinstance(refusal, dict) and refusal.get("code") == METHOD_NOT_FOUND:
        raise ControlError(
            "The daemon that runs is of an older version than this command: it does not know the control token.",
            remedy="Stop it and start the new one (`systemctl --user restart`, or Ctrl-C and `ouro run`).",
        )
    if isinstance(refusal, dict):
        raise refusal_of(refusal)
    if not isinstance(result, dict) or result.get("protocol") != PROTOCOL:
        raise gone()


def gone() -> NoDaemon:
    return NoDaemon("The daemon went away.", remedy="`ouro status` asks whether one runs.")


def refusal_of(error: dict[str, Any]) -> RemoteError:
    data = error.get("data") or {}
    return RemoteError(
        str(error.get("message", "")),
        code=int(error.get("code", 0)),
        remedy=str(data.get("remedy", "")),
        kind=str(data.get("error", "")),
        exit=Exit(data.get("exit", Exit.FAULT)),
    )
