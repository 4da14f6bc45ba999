"""Instructions for ``launcher.py``, in a module of their own so that the launcher need not import ``typing``."""

from __future__ import annotations

import marshal
from typing import TypedDict


class RunPlan(TypedDict):
    """Instructions for one run. ``grants``: path and right (read, execute or write), for everything below the path."""

    argv: list[str]
    cwd: str
    env: dict[str, str]
    inherit: list[str]  # variables of the launcher's own environment that are handed on
    walls: bool  # False: what is below up to ``machine`` is not looked at
    grants: list[tuple[str, str]]
    limits: list[tuple[int, int]]
    filter: str  # the BPF program in hex; empty: none
    scoped: bool  # abstract sockets and signals stay inside, where the kernel can do that
    keep_capabilities: int  # bit mask; matters for root only
    machine: str
    parent: int  # the launcher ends when this is no longer its parent
    status_fd: int  # "ready" is written here when all walls are up
    own: str  # folder that is made for this run and removed after it
    most_bytes: int  # the run is ended when it holds more; 0: not checked
    folders: list[str]  # folders to make in it


def encode_plan(plan: RunPlan) -> str:
    """As the launcher reads it: it is run by this very interpreter, so that the format is the same on both sides."""
    return marshal.dumps(dict(plan)).hex()
