"""What the modules of this package share: their dependencies, and the lock on changes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from governance.changes.effects import Effects
from governance.changes.settings import ChangeSettings
from ledger.clock import Clock
from ledger.paths import open_regular
from ledger.places import Places
from tools.git import Git


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """The dependencies of every step that changes the repository. Holds no state."""

    git: Git
    places: Places
    settings: ChangeSettings
    effects: Effects
    clock: Clock


@contextmanager
def change_lock(places: Places) -> Iterator[None]:
    """One change at a time for a repository, across threads and processes. Blocks; not inherited by children."""
    fd = open_regular(places.state / "changes.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
