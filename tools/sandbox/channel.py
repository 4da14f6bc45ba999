"""Small descriptors that are handed to a monitor: a status pipe, and a file in memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

STATUS_BYTES = 16 * 1024  # a few lines; far below what a pipe holds, so that writing them never blocks


@dataclass(frozen=True, slots=True)
class Status:
    """A pipe for the status of the monitor (never of the code inside)."""

    read_fd: int
    write_fd: int

    def text(self) -> str:
        """Text written since the last call."""
        try:
            return os.read(self.read_fd, STATUS_BYTES).decode("utf-8", errors="replace")
        except BlockingIOError:
            return ""


@contextlib.contextmanager
def status_pipe() -> Iterator[Status]:
    """Open for one run."""
    read_fd, write_fd = os.pipe()
    try:
        os.set_blocking(read_fd, False)
        yield Status(read_fd, write_fd)
    finally:
        os.close(read_fd)
        os.close(write_fd)


@contextlib.contextmanager
def memory_file(data: bytes) -> Iterator[int]:
    """A descriptor from which ``data`` can be read once."""
    fd = os.memfd_create("ouro", os.MFD_CLOEXEC)
    try:
        os.write(fd, data)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
