"""Injectable clocks, and the format of stored times. Wall time is UTC; monotonic time is never stored."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Source of the current time; passed in everywhere, so that tests and replay control it."""

    def now(self) -> datetime:
        """Wall time, timezone-aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds for measuring durations; meaningless across processes."""
        ...


class SystemClock:
    """The system's wall clock and monotonic clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that moves only by :meth:`advance`: for tests and replay."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by ``seconds``."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and ``Z``: the only format in which times are stored."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unstamp(text: str) -> datetime:
    """Parse a time in the format of :func:`stamp`. Raises ``ValueError``."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
