"""One daemon per repository: an advisory lock, freed when its process ends, and a file that names the process."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ledger.clock import Clock, stamp
from ledger.errors import InstanceHeld
from ledger.parsers.json import read_json
from ledger.paths import naming, not_regular, open_regular, other_kind, read_regular
from ledger.places import Places
from ledger.vocabulary import Frozen

LOCK_NAME = "instance.lock"
INFO_NAME = "instance.json"
LARGEST_INFO = 4096


class Holder(Frozen):
    """The process that took the lock of a repository; it may have ended since."""

    pid: int
    started: str


class Instance:
    """The held lock. A live holder is never evicted; the kernel frees the lock when its process ends."""

    def __init__(self, descriptor: int, info: Path) -> None:
        self._descriptor: int | None = descriptor
        self._info = info

    @classmethod
    def acquire(cls, places: Places, clock: Clock) -> Instance:
        """Take the lock. Raises ``InstanceHeld``, naming the process, when another daemon has it.

        Raises ``OSError`` when the lock or the note cannot be written: a full disk, a folder in their place.
        """
        places.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Close-on-exec: a child that inherits the descriptor would keep the lock.
        descriptor = open_regular(places.state / LOCK_NAME, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            held = last_holder(places)
            who = f"process {held.pid}, since {held.started}" if held else "another process"
            raise InstanceHeld(
                f"A daemon already watches {places.repo} ({who}).",
                remedy="`ouro status` shows its state; stop it before you start a second one.",
            ) from error
        instance = cls(descriptor, places.state / INFO_NAME)
        try:
            instance._write_info(Holder(pid=os.getpid(), started=stamp(clock.now())))
        except OSError:
            instance.release()
            raise
        return instance

    def _write_info(self, holder: Holder) -> None:
        fresh = self._info.with_suffix(".part")  # a fixed name, so that the next start overwrites what a crash left
        descriptor = open_regular(fresh, os.O_WRONLY | os.O_CREAT)
        with naming(fresh), os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.truncate(0)
            file.write(holder.model_dump_json() + "\n")
        if other_kind(self._info) == "a folder":
            raise not_regular(self._info)
        fresh.replace(self._info)

    def release(self) -> None:
        """Release the lock; safe to call twice."""
        if self._descriptor is not None:
            with suppress(OSError):  # only information: if it cannot be deleted, the next start replaces it
                self._info.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Instance:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def last_holder(places: Places) -> Holder | None:
    """The content of the note; None when there is none or it is torn."""
    try:
        return Holder.model_validate(read_json(read_regular(places.state / INFO_NAME, LARGEST_INFO)))
    except (OSError, ValueError):
        return None
