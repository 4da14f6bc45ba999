"""How a blocking piece of work in a worker thread learns that nobody waits for it any more."""

from __future__ import annotations

import threading


class Cancelled(Exception):
    """Raised inside the worker thread; never seen by callers of a provider."""


class CancelToken:
    """Set from the event loop, asked from the worker thread between two steps."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raises ``Cancelled`` when the token is set."""
        if self._event.is_set():
            raise Cancelled
