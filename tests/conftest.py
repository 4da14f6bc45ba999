"""Shared fixtures. The autouse pair fails a test that leaves a task, thread, child or descriptor behind."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import sensors.registry  # noqa: F401  declares the sources of signals, as in every process of the daemon
from tools.sandbox.devices import over_kept_devices

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of what is tested
settings.load_profile("untimed")
GRACE_S = 2.0


def _children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            found |= {int(pid) for pid in (task / "children").read_text().split()}
        except FileNotFoundError:
            continue
    return found


def _descriptors() -> dict[str, str]:
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue
    return found


def _threads() -> set[threading.Thread]:
    # The default executor keeps its workers until the loop closes: it closes with the test's loop.
    return {t for t in threading.enumerate() if not t.name.startswith("asyncio_")}


@pytest.fixture(scope="session", autouse=True)
def kept_devices() -> None:
    """A namespace that a process makes once and keeps: no test's own."""
    over_kept_devices()


@pytest.fixture(autouse=True)
def nothing_left_behind(kept_devices: None) -> Iterator[None]:
    """Threads, child processes and descriptors must be those from before the test."""
    threads, children, descriptors = _threads(), _children(), _descriptors()
    yield
    deadline = time.monotonic() + GRACE_S
    while True:
        extra_threads = _threads() - threads
        extra_children = _children() - children
        extra_fds = {fd: target for fd, target in _descriptors().items() if fd not in descriptors}
        if not (extra_threads or extra_children or extra_fds) or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    assert not extra_threads, f"threads left behind: {extra_threads}"
    assert not extra_children, f"child processes left behind: {extra_children}"
    assert not extra_fds, f"descriptors left behind: {extra_fds}"


@pytest.fixture(autouse=True)
async def no_task_left_behind(nothing_left_behind: None) -> AsyncIterator[None]:
    """Every asyncio task that a test starts ends with it."""
    yield
    for _ in range(10):
        extra = asyncio.all_tasks() - {asyncio.current_task()}
        if not extra:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"tasks left behind: {extra}")
