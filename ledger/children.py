"""The only place where another program is started outside the sandbox: by its absolute path, with a whole environment.

Who starts something finds it with ``ledger.programs.find_program``; the search path of this process decides nothing.
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
"""Of both streams of a child together. A repository can make git say without end: a tree of trees, a huge file."""
CHUNK = 64 * 1024
GRACE_S = 2.0
"""Seconds between the request to end and the kill."""


class TooMuch(OSError):
    """A child said more than is taken of it, and was ended."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a child ended, and both of its streams."""

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
    """The command line of a child of our own interpreter: isolated, so no folder and no variable brings code in."""
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

    Raises ``ChildFailed`` for what may not be started so, ``OSError`` as the system does.
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
) -> Answer:
    """Run a child to its end; blocks. Raises ``TimeoutError`` or ``TooMuch`` when it has to be ended, ``OSError``,
    ``ChildFailed``.
    """
    with start(
        argv, cwd=cwd, env=env, stdin=PIPE, stdout=PIPE, stderr=PIPE, own_group=own_group
    ) as child:  # fmt: skip
        try:
            out, err = hear(child, given, timeout_s=timeout_s, most_bytes=most_bytes)
        finally:
            if child.returncode is None:
                _end(child, os.killpg if own_group else os.kill)
    return Answer(child.returncode, out, err)


def _end(child: Child, send: Callable[[int, int], None]) -> None:
    """Ask a child to go, and make it go after the grace.

    Who is asked takes its locks away, and what it has begun to write: git would leave both in the owner's repository.
    """
    send(child.pid, signal.SIGTERM)
    ended = os.pidfd_open(child.pid)  # it is not reaped yet: until then the number of its group is nobody else's
    try:
        select.select([ended], [], [], GRACE_S)
    finally:
        os.close(ended)
    send(child.pid, signal.SIGKILL)


def hear(child: Child, given: bytes = b"", *, timeout_s: float, most_bytes: int = MOST_BYTES) -> tuple[bytes, bytes]:
    """Both streams of a child, which are pipes, until it has ended. Like ``Popen.communicate``, but not without end.

    Raises ``TimeoutError`` and ``TooMuch``; the child is then the caller's to end.
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
    """What is still to be written; nothing where nobody reads it any more."""
    try:
        return rest[os.write(fd, rest[:CHUNK]) :] if rest else rest
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[:0]


def become(argv: Sequence[str]) -> NoReturn:
    """Run another program in this process, with its environment."""
    _need_absolute(argv[0])
    os.execv(argv[0], list(argv))


def _need_absolute(program: str) -> None:
    if not program.startswith("/"):
        raise ChildFailed(
            f"{program!r} is not an absolute path, and only such a program is started.",
            remedy="Look it up with find_program: it takes nothing from the repository.",
        )
