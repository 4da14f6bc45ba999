"""Before each run: is the tests' environment still the one that was taken?

What a run may see follows from a few files and links. While none of them has changed there is nothing to ask; after a
change all is asked again that was asked when the environment was found.
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
    """``look`` asks everything and says why not to run, a sentence.

    ``files`` are looked at as to content, ``steps`` (the folders and links that lead to them) as to what stands there.
    Threads may share one.
    """

    def __init__(self, *, look: Callable[[], str | None], files: Iterable[Path], steps: Iterable[Path | str]) -> None:
        self._look = look
        self._files = tuple(os.fspath(file) for file in dict.fromkeys(files))
        self._steps = tuple(os.fspath(step) for step in dict.fromkeys(steps))
        self._good: tuple[Stamp, ...] | None = None

    def trouble(self) -> str | None:
        """Why nothing may be run now, one sentence; None when all is as it was. Blocking."""
        seen = self._stamps()  # first: what changes while we look is looked at next time
        if seen == self._good:
            return None
        try:
            why = self._look()
        except OuroError as error:
            why = f"Whether the tests' environment is the owner's own cannot be told: {error.message}"
        if why is None:
            self._good = seen
        return why

    def _stamps(self) -> tuple[Stamp, ...]:
        return (*(_stamp(file, True) for file in self._files), *(_stamp(step, False) for step in self._steps))


class Guarded:
    """A sandbox for jobs that see the tests' environment: it runs none while that is not what it was."""

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
    """What changes when something else stands there; with ``content`` also when it is written.

    A link is told by its times and its target: its number may be given to the next one at once.
    """
    try:
        seen = os.lstat(path)
        target = os.readlink(path) if stat.S_ISLNK(seen.st_mode) else None  # noqa: PTH115 - many times a run
    except (OSError, ValueError):
        return ()
    written = (seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size) if content or target is not None else ()
    return (seen.st_mode, seen.st_dev, seen.st_ino, target, *written)
