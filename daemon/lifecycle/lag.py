"""The event loop's lag, measured while an op runs, and the watchdog ping of the service manager."""

from __future__ import annotations

import asyncio
from collections import deque

from daemon.lifecycle.notify import Notifier

INTERVAL_S = 0.1
KEPT = 600


class LagProbe:
    """Schedules itself every :data:`INTERVAL_S` and keeps by how much each call was late."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=KEPT)
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Measure until :meth:`stop`; a second start has no effect."""
        if self._handle is None:
            self._schedule()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def p99_ms(self) -> int:
        """The 99th percentile of the kept measurements, milliseconds; 0 when there are none."""
        ordered = sorted(self._late)
        return round(1000 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]) if ordered else 0

    def now_ms(self) -> int:
        """Like :meth:`p99_ms`, but 0 when stopped: old samples do not describe the present."""
        return self.p99_ms() if self._handle is not None else 0

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + INTERVAL_S
        self._handle = loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self._late.append(max(0.0, asyncio.get_running_loop().time() - self._due))
        self._schedule()


class Watchdog:
    """Pings the service manager from the event loop itself, at half its interval."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._notifier.watchdog_s:
            self._notifier.watchdog()
            self._handle = asyncio.get_running_loop().call_later(self._notifier.watchdog_s / 2, self.start)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
