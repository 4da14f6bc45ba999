"""Cooperative cancellation of blocking work in a worker thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Cancelled(Exception):
    """Raised inside the worker thread; callers of a provider never see it."""


class CancelToken:
    """Set from the event loop, checked in the worker thread between two steps."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._stops: list[Callable[[], None]] = []

    def cancel(self) -> None:
        with self._lock:
            self._event.set()
            stops = tuple(self._stops)
        for stop in stops:
            stop()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raises ``Cancelled`` when the token is set."""
        if self._event.is_set():
            raise Cancelled

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Registers ``stop`` for the block: ``cancel`` calls it, for waits that cannot check the token. Called at once
        when the token is already set.
        """
        with self._lock:
            self._stops.append(stop)
            late = self._event.is_set()
        try:
            if late:
                stop()
            yield
        finally:
            with self._lock:
                self._stops.remove(stop)
