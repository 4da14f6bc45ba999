"""What a signal does to a boot: the first asks for a clean stop and says so, the second ends what is waited for."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from daemon.narrate import short_of

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def waiting_for(ops: Collection[str], limit_s: float) -> str:
    """Pure: what a person reads after the first signal."""
    if not ops:
        return "stopping"
    names = ", ".join(short_of(op) for op in ops)
    return f"stopping: waiting up to {limit_s:g} s for {names}; once more ends it now"


class Stops:
    """The signals of one boot. ``asked`` after the first one, ``hurry`` after the second."""

    def __init__(self, *, live: Callable[[], Collection[str]], limit_s: float, say: Callable[[str], None]) -> None:
        self._live = live
        self._limit_s = limit_s
        self._say = say
        self.asked = False
        self.hurry = asyncio.Event()

    @contextmanager
    def heeded(self, stopping: asyncio.Event) -> Iterator[None]:
        """While the block runs a signal sets ``stopping``."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._came, stopping)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def _came(self, stopping: asyncio.Event) -> None:
        if self.asked:
            self.hurry.set()
            return
        self.asked = True
        stopping.set()
        self._say(waiting_for(self._live(), self._limit_s))
