"""A daemon that was started from a terminal: what runs inside can neither open it nor type into it."""

from __future__ import annotations

import os
import pty
import select
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tools.sandbox.filters import without
from tests.tools.sandbox.test_bwrap_walls import rebuilt
from tools.process import Command
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.channel import memory_file, status_pipe
from tools.sandbox.probe import interpreter
from tools.sandbox.seccomp import NAMESPACED
from tools.sandbox.types import Job

TYPING = """
import fcntl, os, termios
try:
    fd = os.open("/dev/tty", os.O_RDWR)
    for byte in b"typed\\n":
        fcntl.ioctl(fd, termios.TIOCSTI, bytes([byte]))
    print("open")
except OSError as error:
    print("refused:", error.strerror)
"""
LEGACY = Path("/proc/sys/dev/tty/legacy_tiocsti")


class WithTheTerminal(Bwrap):
    def flags(self) -> tuple[str, ...]:
        return tuple(flag for flag in super().flags() if flag != "--new-session")


class WithTyping(WithTheTerminal):
    """Neither of the two walls that stand before it."""

    def filter(self) -> bytes | None:
        return without(NAMESPACED, "ioctl")


def in_a_terminal(command: Command) -> bytes:
    """All that is seen on the terminal of a process which is replaced by ``command``, what is typed included."""
    pid, master = pty.fork()
    if pid == 0:
        for fd in command.pass_fds:
            os.set_inheritable(fd, True)
        os.execve(command.argv[0], list(command.argv), dict(command.env))
    seen, deadline = b"", time.monotonic() + 20
    while time.monotonic() < deadline and select.select([master], [], [], 20)[0]:
        try:
            seen += os.read(master, 4096)
        except OSError:  # all have closed it
            break
    os.waitpid(pid, 0)
    os.close(master)
    return seen


def attacked(box: Bwrap) -> bytes:
    program, mounts = interpreter()
    job = Job(argv=(str(program), "-I", "-S", "-c", TYPING), cwd=Path("/"), mounts=mounts, timeout_s=20)
    code = box.filter()
    assert code is not None
    with status_pipe() as status, memory_file(code) as filter_fd:
        return in_a_terminal(replace(box.command(job, status_fd=status.write_fd, filter_fd=filter_fd)))


def test_nothing_can_be_typed_into_the_daemons_terminal(bwrap: Bwrap) -> None:
    seen = attacked(bwrap)
    assert b"refused: No such device or address" in seen and b"typed" not in seen


@pytest.mark.skipif(not LEGACY.exists() or LEGACY.read_text().strip() != "1", reason="the kernel lets nobody type")
def test_in_the_daemons_own_session_it_can(bwrap: Bwrap) -> None:
    assert b"typed" in attacked(rebuilt(bwrap, WithTyping))


def test_in_the_daemons_own_session_the_filter_still_refuses(bwrap: Bwrap) -> None:
    seen = attacked(rebuilt(bwrap, WithTheTerminal))
    assert b"refused: Operation not permitted" in seen and b"typed" not in seen
