"""The only place that starts programs outside the sandbox: by absolute path, with an explicit environment.

Callers look programs up with ``ledger.programs.find_program``; the ``PATH`` of this process is not used.
"""

from __future__ import annotations

import errno
import os
import select
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from ledger.errors import ChildFailed

Stream = int | IO[bytes] | IO[str] | None
Child = subprocess.Popen[bytes]
PIPE, NOTHING = subprocess.PIPE, subprocess.DEVNULL
MOST_BYTES = 256 * 1024 * 1024
"""Limit of both output streams together. A repository can make git's output endless: nested trees, a huge file."""
CHUNK = 64 * 1024
GRACE_S = 2.0
"""Seconds between SIGTERM and SIGKILL."""


class TooMuch(OSError):
    """A child wrote more output than the limit."""


@dataclass(frozen=True, slots=True)
class ChildResult:
    """Exit code (negative: the signal) and both output streams of a child."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Standard output, decoded and stripped."""
        return self.out.decode("utf-8", errors="replace").strip()

    @property
    def said(self) -> str:
        """Standard error, decoded and stripped."""
        return self.err.decode("utf-8", errors="replace").strip()


def own_python(*words: str) -> tuple[str, ...]:
    """Command line for our own interpreter, isolated (``-I``): no folder and no variable can inject code."""
    return (sys.executable, "-I", *words)


def start(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None,
    stdin: Stream = NOTHING,
    stdout: Stream = NOTHING,
    stderr: Stream = NOTHING,
    pass_fds: tuple[int, ...] = (),
    own_group: bool = True,
) -> Child:
    """Start a child. Only our own interpreter may inherit this process's environment (``env`` None).

    Raises ``ChildFailed`` for a relative program path or another program without ``env``, ``OSError`` of the system.
    """
    _need_absolute(argv[0])
    if env is None and argv[0] != sys.executable:
        raise ChildFailed(f"{argv[0]} is to be given an environment of its own.")
    return subprocess.Popen(
        list(argv),
        cwd=cwd,
        env=None if env is None else dict(env),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=own_group,
    )


def ask(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None,
    timeout_s: float,
    given: bytes = b"",
    own_group: bool = True,
    most_bytes: int = MOST_BYTES,
) -> ChildResult:
    """Run a child to its end; blocks. Raises ``TimeoutError`` or ``TooMuch`` after ending it, ``OSError``,
    ``ChildFailed``.
    """
    with start(argv, cwd=cwd, env=env, stdin=PIPE, stdout=PIPE, stderr=PIPE, own_group=own_group) as child:
        try:
            out, err = hear(child, given, timeout_s=timeout_s, most_bytes=most_bytes)
        finally:
            if child.returncode is None:
                _end(child, os.killpg if own_group else os.kill)
    return ChildResult(child.returncode, out, err)


def _end(child: Child, send: Callable[[int, int], None]) -> None:
    """Send SIGTERM to a child, and SIGKILL after ``GRACE_S``.

    On SIGTERM git removes its lock files and what it has half written; killed, it leaves both in the repository.
    """
    send(child.pid, signal.SIGTERM)
    ended = os.pidfd_open(child.pid)  # it is not reaped yet, so its process group id cannot have been reused
    try:
        select.select([ended], [], [], GRACE_S)
    finally:
        os.close(ended)
    send(child.pid, signal.SIGKILL)


def hear(child: Child, given: bytes = b"", *, timeout_s: float, most_bytes: int = MOST_BYTES) -> tuple[bytes, bytes]:
    """Write ``given`` to a child and read both of its output pipes until it ends: a bounded ``Popen.communicate``.

    Raises ``TimeoutError`` and ``TooMuch``; the caller then has to end the child.
    """
    assert child.stdout is not None and child.stderr is not None
    said = {child.stdout.fileno(): bytearray(), child.stderr.fileno(): bytearray()}
    out, err = said.values()
    rest, left, until = memoryview(given), most_bytes, time.monotonic() + timeout_s
    with selectors.PollSelector() as ready:  # see ledger.event_loop
        for stream in (child.stdout, child.stderr):
            ready.register(stream, selectors.EVENT_READ, stream)
        if child.stdin is not None:
            os.set_blocking(child.stdin.fileno(), False)
            ready.register(child.stdin, selectors.EVENT_WRITE, child.stdin)
        while ready.get_map():
            for key, _ in ready.select(max(0.0, until - time.monotonic())):
                if key.fd in said:
                    data = os.read(key.fd, CHUNK)
                    left -= len(data)
                    said[key.fd] += data
                    over = not data
                else:
                    rest = _fed(key.fd, rest)
                    over = not rest
                if over:
                    ready.unregister(key.data)
                    key.data.close()
                if left < 0:
                    raise TooMuch(errno.EFBIG, f"it said more than {most_bytes} bytes")
            if time.monotonic() >= until and ready.get_map():
                raise TimeoutError(_late(child, timeout_s))
    try:
        child.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise TimeoutError(_late(child, timeout_s)) from None
    return bytes(out), bytes(err)


def _late(child: Child, timeout_s: float) -> str:
    program = child.args[0] if isinstance(child.args, list) else child.args
    return f"{program!s} did not end within {timeout_s:g} s"


def _fed(fd: int, rest: memoryview) -> memoryview:
    """Write to the child's standard input; returns what is left, nothing once the child has closed it."""
    try:
        return rest[os.write(fd, rest[:CHUNK]) :] if rest else rest
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[:0]


def become(argv: Sequence[str]) -> NoReturn:
    """Replace this process by another program (``execv``), which keeps the environment."""
    _need_absolute(argv[0])
    os.execv(argv[0], list(argv))


def _need_absolute(program: str) -> None:
    if not program.startswith("/"):
        raise ChildFailed(
            f"{program!r} is not an absolute path, and only such a program is started.",
            remedy="Look it up with find_program: it takes nothing from the repository.",
        )
