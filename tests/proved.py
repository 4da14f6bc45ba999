"""The sandbox as the daemon chooses it, where a test is about something else: its walls are tried once a process.

What is tried once is the machine: the same program, the same settings, the same search path. That a start tries all
walls is shown in ``tests/tools/sandbox``, ``tests/daemon/test_doctor.py`` and wherever a daemon is a process.
"""

from __future__ import annotations

from dataclasses import replace

from ledger.places import HostEnv, Places
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.choice import candidates, choose
from tools.sandbox.landlock import Landlock
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Choice

_PROVED: dict[tuple[SandboxSettings, str], Choice] = {}


async def choose_once(settings: SandboxSettings, places: Places, env: HostEnv) -> Choice:
    """See :func:`tools.sandbox.choice.choose`."""
    key = (settings, env.path)
    known = _PROVED.get(key)
    if known is not None and isinstance(known.sandbox, Bwrap | Landlock):
        for name, backend in candidates(settings, places, env):
            if not isinstance(backend, str) and name == known.sandbox.name:
                return replace(known, sandbox=backend.proven(known.sandbox.walls))
    _PROVED[key] = await choose(settings, places, env)
    return _PROVED[key]
