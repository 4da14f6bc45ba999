"""An alarm at a moment of the wall clock, on time after a suspend or a clock change.

Timers of the event loop count only the time that the machine was awake. Linux has wall-clock timers (timerfd) that
report when the clock is set; Python offers them from 3.13 on, so they are called through ctypes here.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime

from ledger.errors import OuroError

Alarm = Callable[[datetime, Callable[[], None]], AbstractContextManager[None]]
"""While the context lasts, the second argument is called at that moment, or at once when the clock is set."""

TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET = 1, 2
_S_NS = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("it_interval", _Timespec), ("it_value", _Timespec))


@contextmanager
def wall_alarm(moment: datetime, ring: Callable[[], None]) -> Iterator[None]:
    """See :data:`Alarm`. ``ring`` is called by the running loop. Raises ``OuroError`` when there is no timer left."""
    loop, fd = asyncio.get_running_loop(), _timer(moment)
    try:
        loop.add_reader(fd, _on_timer, fd, ring)
        try:
            yield
        finally:
            loop.remove_reader(fd)
    finally:
        os.close(fd)


def _timer(moment: datetime) -> int:
    """A descriptor that can be read from ``moment`` on, or as soon as the clock is set."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.timerfd_create(time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise _no_timer()
    # Zero would disarm it, so a moment before the epoch becomes the first nanosecond after it.
    at_ns = max(1, int(moment.timestamp() * 1_000_000) * 1_000)
    value = _Itimerspec(it_value=_Timespec(at_ns // _S_NS, at_ns % _S_NS))
    if libc.timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, ctypes.byref(value), None) < 0:
        error = _no_timer()
        os.close(fd)
        raise error
    return int(fd)


def _no_timer() -> OuroError:
    return OuroError(
        f"No wall-clock timer could be created: {os.strerror(ctypes.get_errno())}.",
        remedy="The limit on open files must be high enough.",
    )


def _on_timer(fd: int, ring: Callable[[], None]) -> None:
    with suppress(BlockingIOError):
        try:
            os.read(fd, 8)
        except OSError as error:
            if error.errno != errno.ECANCELED:  # the clock was set: the caller has to read it again
                raise
        ring()
