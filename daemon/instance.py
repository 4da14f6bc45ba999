"""One daemon per repository: an advisory lock that dies with its holder, and a note of who that is."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from ledger.clock import Clock, stamp
from ledger.errors import InstanceHeld
from ledger.parsers.json import read_json
from ledger.places import Places
from ledger.vocabulary import Frozen

LOCK_NAME = "instance.lock"
INFO_NAME = "instance.json"


class Holder(Frozen):
    """Who holds a repository (as of when it took it: the process may be gone)."""

    pid: int
    started: str


class Instance:
    """The held lock. A live holder is never evicted; the kernel frees the lock when its process ends."""

    def __init__(self, descriptor: int, info: Path) -> None:
        self._descriptor: int | None = descriptor
        self._info = info

    @classmethod
    def acquire(cls, places: Places, clock: Clock) -> Instance:
        """Raises ``InstanceHeld``, naming the process, when another daemon owns the repository."""
        places.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        # close-on-exec (Python's default, said aloud): a child that inherits the descriptor would keep the lock
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(places.state / LOCK_NAME, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            held = last_holder(places)
            who = f"process {held.pid}, since {held.started}" if held else "another process"
            raise InstanceHeld(
                f"A daemon already watches {places.repo} ({who}).",
                remedy="`ouro status` asks it; stop it before a second one is started.",
            ) from error
        instance = cls(descriptor, places.state / INFO_NAME)
        instance._note(Holder(pid=os.getpid(), started=stamp(clock.now())))
        return instance

    def _note(self, holder: Holder) -> None:
        fresh = self._info.with_suffix(".part")  # one name: what a crash leaves, the next holder replaces
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(holder.model_dump_json() + "\n")
        fresh.replace(self._info)

    def release(self) -> None:
        """Give the repository back; safe to call twice."""
        if self._descriptor is not None:
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
    """What the note says; None when there is none or it is torn."""
    try:
        return Holder.model_validate(read_json((places.state / INFO_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
