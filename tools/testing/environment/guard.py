"""Check before each run that the tests' environment is unchanged.

The mounts of a run follow from a few files and links. Only after one of them changed are the checks of the detection
repeated.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from ledger.errors import OuroError, SandboxError
from tools.process import Finished
from tools.sandbox.types import Job, Sandbox, Wall

Stamp = tuple[int | str | None, ...]


class Guard:
    """``look`` makes all checks and returns a sentence with the reason not to run.

    ``files`` are compared with modification times, ``steps`` (folders and links that lead to them) by identity.
    Thread-safe.
    """

    def __init__(self, *, look: Callable[[], str | None], files: Iterable[Path], steps: Iterable[Path | str]) -> None:
        self._look = look
        self._files = tuple(os.fspath(file) for file in dict.fromkeys(files))
        self._steps = tuple(os.fspath(step) for step in dict.fromkeys(steps))
        self._good: tuple[Stamp, ...] | None = None

    def trouble(self) -> str | None:
        """Why nothing may be run now, one sentence; None when nothing has changed. Blocking."""
        seen = self._stamps()  # first, so that a change during the check is seen next time
        if seen == self._good:
            return None
        try:
            why = self._look()
        except OuroError as error:
            why = f"Whether the tests' environment is the owner's own cannot be determined: {error.message}"
        if why is None:
            self._good = seen
        return why

    def _stamps(self) -> tuple[Stamp, ...]:
        return (*(_stamp(file, True) for file in self._files), *(_stamp(step, False) for step in self._steps))


class Guarded:
    """A sandbox for jobs with the tests' environment; it runs none after that has changed."""

    def __init__(self, sandbox: Sandbox, guard: Guard) -> None:
        self._sandbox, self._guard = sandbox, guard

    @property
    def name(self) -> str:
        return self._sandbox.name

    @property
    def walls(self) -> frozenset[Wall]:
        return self._sandbox.walls

    @property
    def missing(self) -> frozenset[Wall]:
        return self._sandbox.missing

    @property
    def maps_paths(self) -> bool:
        return self._sandbox.maps_paths

    async def run(self, job: Job) -> Finished:
        """See :meth:`tools.sandbox.types.Sandbox.run`."""
        why = await asyncio.to_thread(self._guard.trouble)
        if why is not None:
            raise SandboxError(why)
        return await self._sandbox.run(job)


def _stamp(path: str, content: bool) -> Stamp:
    """Identity of the file at ``path``; with ``content`` it changes also when the file is written.

    For links it includes times and target: an inode number may be reused at once.
    """
    try:
        seen = os.lstat(path)
        target = os.readlink(path) if stat.S_ISLNK(seen.st_mode) else None  # noqa: PTH115 - many times a run
    except (OSError, ValueError):
        return ()
    written = (seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size) if content or target is not None else ()
    return (seen.st_mode, seen.st_dev, seen.st_ino, target, *written)
